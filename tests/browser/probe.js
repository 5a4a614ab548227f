// What the tests ask of a page, from inside it. Loaded before the page's own scripts, as `window.probe`.
window.probe = {
  // The state of the notebook's kernel: 'idle', 'busy', …; undefined while there is none.
  kernel() {
    const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.connectionStatus === 'connected' ? kernel.status : undefined;
  },

  // What `promise` comes to; an error after `seconds`, with what a dialog asks meanwhile, if there is one.
  within(what, promise, seconds = 60) {
    let timer;
    const late = new Promise((_, fail) => {
      timer = setTimeout(() => {
        const asks = [...document.querySelectorAll('dialog')].map(d => ` A dialog asks: ${d.innerText}`).join('');
        fail(new Error(`${what} took more than ${seconds} s.${asks}`));
      }, 1000 * seconds);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  },

  // Does a command of JupyterLab's.
  async command(name, args) { await this.within(name, jupyterapp.commands.execute(name, args)); },

  // Opens another notebook, on the kernel of the one that was open first.
  async open(path) {
    this.shared ??= jupyterapp.shell.currentWidget.sessionContext.session.kernel.model;
    await this.command('docmanager:open', {path, kernel: this.shared});
  },

  // Each code cell's execution count (null while it runs) and traceback, if it failed.
  cells() {
    return jupyterapp.shell.currentWidget.content.model.toJSON().cells.filter(c => c.cell_type === 'code').map(c => ({
      count: c.execution_count,
      error: c.outputs.filter(o => o.output_type === 'error').flatMap(o => o.traceback).join('\n'),
    }));
  },

  // Arms a stopwatch: it starts at the next keydown and stops in the first animation frame after all of `nodes` changed
  // (a canvas or a figure changes when its data-frame does). `elapsed` is the time in ms, or null: it took over 5 s.
  arm(...nodes) {
    this.elapsed = new Promise(resolve => {
      let start = null;
      const waiting = new Set(nodes);
      for (const node of nodes) {
        const observer = new MutationObserver(() => {
          if (start === null || !waiting.delete(node)) return;
          observer.disconnect();
          if (!waiting.size) requestAnimationFrame(() => resolve(performance.now() - start));
        });
        const text = {childList: true, characterData: true, subtree: true};
        observer.observe(node, node.dataset.frame !== undefined ? {attributeFilter: ['data-frame']} : text);
      }
      addEventListener('keydown', () => { start = performance.now(); }, {capture: true, once: true});
      setTimeout(resolve, 5000, null);
    });
  },

  // Whether every code cell is trusted.
  trusted() {
    return [...jupyterapp.shell.currentWidget.content.model.cells].every(c => c.type !== 'code' || c.trusted);
  },

  // Trusts the notebook, as the command palette's "Trust Notebook" does: its outputs are rendered anew.
  trust() { for (const cell of jupyterapp.shell.currentWidget.content.model.cells) cell.trusted = true; },

  // A canvas' pixels: its shape, and their bytes in base64 (a long list of numbers would take seconds to hand over).
  async pixels(canvas) {
    const {width, height} = canvas;
    const {data} = canvas.getContext('2d').getImageData(0, 0, width, height);
    const url = await new Promise(resolve => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(new Blob([data]));
    });
    return {shape: [height, width, 4], data: url.slice(url.indexOf(',') + 1)};
  },

  // Contrast (WCAG, 1 to 21) between an element's text and the first opaque background behind it.
  contrast(element) {
    const rgba = css => { const n = css.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    let behind = element;
    while (behind.parentElement && rgba(getComputedStyle(behind).backgroundColor)[3] < 1) behind = behind.parentElement;
    const [a, b] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(c => light(rgba(c)));
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  },

  // Controls of `root` that a keyboard must reach, numbered so that two walks can be compared.
  controls(root) {
    const all = root.querySelectorAll('input, select, textarea, button, a[href], summary, [role=slider], '
      + 'canvas[tabindex], .lk-figure[tabindex], .lk-stage[tabindex], .lk-handle[tabindex]');
    return [...all].filter(e => !e.disabled && e.type !== 'hidden' && e.checkVisibility())
      .map((e, i) => { e.dataset.probe ??= i; return this.name(e); });
  },

  // How a report calls an element; the radio buttons of one group share a Tab stop, hence a name.
  name(e) {
    if (e.type === 'radio') return `radio group ${e.name}`;
    const label = e.getAttribute('aria-label') || e.title || e.textContent.trim()
      || e.closest('.jupyter-widgets')?.querySelector('.widget-label')?.textContent || '';
    return `${e.tagName.toLowerCase()} #${e.dataset.probe} ${label.slice(0, 30)}`.trim();
  },

  // Controls of `root` without a name, with less than 24 px for a finger, or whose focus ring is thin or cut off.
  unfit(root) {
    const found = [], was = document.activeElement;
    const focusable = 'input, select, button, a[href], summary, [tabindex="0"]';
    for (const e of root.querySelectorAll(focusable)) {
      if (e.disabled || !e.checkVisibility()) continue;
      const name = e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent.trim();
      const what = `${e.tagName.toLowerCase()}.${e.className} '${(name || '').slice(0, 40)}'`;
      if (!name) found.push(`${what} has no name`);
      const box = (e.type === 'checkbox' ? e.labels[0] : e).getBoundingClientRect();
      const inline = e.matches('p a'); // a link in a sentence is as high as its line
      const small = !inline && !e.matches('code') && Math.min(box.width, box.height) < 23.5;
      if (small) found.push(`${what} is ${box.width} × ${box.height} px`);
      e.focus({preventScroll: true, focusVisible: true});
      const style = getComputedStyle(e), own = e.getBoundingClientRect(), wide = parseFloat(style.outlineWidth);
      if (style.outlineStyle === 'none' || wide < 2) { found.push(`${what} shows no focus`); continue; }
      const out = wide + parseFloat(style.outlineOffset);
      const outside = '.jp-OutputArea, .jp-OutputArea-child, body';
      for (let p = e.parentElement; p && !p.matches(outside); p = p.parentElement) {
        const {overflowX, overflowY} = getComputedStyle(p), b = p.getBoundingClientRect();
        const cut = (overflowX !== 'visible' && (own.left - out < b.left - .5 || own.right + out > b.right + .5))
          || (overflowY !== 'visible' && (own.top - out < b.top - .5 || own.bottom + out > b.bottom + .5));
        if (cut) found.push(`${what}: its ring is cut by ${p.className}`);
      }
    }
    was?.focus({preventScroll: true});
    return found;
  },

  // What code prints that runs in the kernel beside the cells.
  async ask(code) {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const asked = kernel.requestExecute({code, store_history: false, stop_on_error: true});
    let printed = '';
    asked.onIOPub = (m) => {
      if (m.header.msg_type === 'stream' && m.content.name === 'stdout') printed += m.content.text;
      if (m.header.msg_type === 'error') printed += m.content.traceback.join('\n');
    };
    await this.within('the kernel', asked.done);
    return printed;
  },

  // Two invisible buttons around `root`, between which a Tab walk begins and ends.
  fence(root) {
    this.posts = ['before', 'after'].map(where => {
      const post = document.createElement('button');
      post.style.cssText = 'position: absolute; opacity: 0; width: 1px; height: 1px';
      root[where](post);
      return post;
    });
    this.posts[0].focus();
  },
  unfence() { this.posts.forEach(p => p.remove()); },

  // Where the focus is: 'before', 'after', or the name of an element.
  focused() {
    const e = document.activeElement, post = this.posts.indexOf(e);
    return post < 0 ? this.name(e) : ['before', 'after'][post];
  },
};
