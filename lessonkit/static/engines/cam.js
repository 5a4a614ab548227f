// Lesson 43 in the page: a whole convolutional net in plain JavaScript, and what it is shown
// (lessonkit/explorers/cam_data.py, cam_pictures.py). A large net runs in a worker, whose program is the text of
// `machine`; a small one, or where a page may start no worker, answers at once.

function machine() {
  let net = null;
  const prod = (a) => a.reduce((s, v) => s * v, 1);
  // Whole numbers from −127 to 127, as letters (cam_data.letters).
  function numbers(text, n) {
    const out = new Int8Array(n), at = (i) => { const c = text.charCodeAt(i) - 35; return c > 56 ? c - 1 : c; };
    for (let i = 0, k = 0; k < n; k++) {
      const v = at(i++);
      out[k] = v < 89 ? v - 44 : (v === 89 ? -1 : 1) * (at(i++) + 45);
    }
    return out;
  }
  // [such numbers, a scale a filter; or plain weights; their shape]
  function weights([values, scales, shape]) {
    const n = prod(shape), per = n / shape[0], s = scales.data,
      q = typeof values === "string" ? numbers(values, n) : null;
    return {
      w: q ? Float64Array.from(q, (v, i) => v * s[Math.floor(i / per)]) : Float64Array.from(values.data),
      shape,
    };
  }
  // Rows in groups of four, the four numbers of a column side by side: what the innermost loop reads, in the order it
  // reads it.
  function fours(w, rows, cols) {
    const out = new Float64Array(Math.ceil(rows / 4) * 4 * cols);
    for (let f = 0; f < rows; f++)
      for (let r = 0; r < cols; r++) out[((f >> 2) * cols + r) * 4 + (f & 3)] = w[f * cols + r];
    return out;
  }
  function load(o) {
    const ready = (steps) => steps.map(([kind, ...v]) => {
      if (kind === "branch") return { kind, body: ready(v[0]), short: ready(v[1]) };
      if (kind === "conv") {
        const { w, shape } = weights(v[0]), deep = v[4];
        return {
          kind, w: deep ? w : fours(w, shape[0], prod(shape.slice(1))), shape, bias: v[1].data, stride: v[2], pad: v[3],
          deep,
        };
      }
      if (kind === "affine") return { kind, scale: v[0].data, shift: v[1].data };
      return { kind, k: v[0], stride: v[1], pad: v[2] };
    });
    net = { steps: ready(o.get("steps")), head: weights(o.get("head")), bias: o.get("bias").data };
  }
  // Cells of a side after a window of k goes over n, and how many are added before the first; pad −1: as TensorFlow
  // pads.
  function places(n, k, stride, pad) {
    if (pad >= 0) return [Math.floor((n + 2 * pad - k) / stride) + 1, pad];
    const out = Math.ceil(n / stride);
    return [out, Math.max((out - 1) * stride + k - n, 0) >> 1];
  }
  const padded = ({ d, c, h, w }, top, left, H, W, fill) => {
    const out = new Float64Array(c * H * W);
    if (fill !== 0) out.fill(fill);
    for (let i = 0; i < c; i++)
      for (let y = 0; y < h && y + top < H; y++) {
        const n = Math.min(w, W - left), from = (i * h + y) * w;
        out.set(d.subarray(from, from + n), (i * H + y + top) * W + left);
      }
    return out;
  };
  const does = {
    conv(x, { w, shape: [nf, ni, k], bias, stride, pad, deep }) {
      const [oh, top] = places(x.h, k, stride, pad), [ow, left] = places(x.w, k, stride, pad), P = oh * ow,
        out = new Float64Array(nf * P);
      const H = (oh - 1) * stride + k, W = (ow - 1) * stride + k,
        from = k === 1 && stride === 1 ? x.d : padded(x, top, left, H, W, 0);
      if (deep) { // a filter for each map
        for (let f = 0; f < nf; f++) {
          const o = out.subarray(f * P, f * P + P).fill(bias[f]);
          for (let a = 0; a < k; a++)
            for (let b = 0; b < k; b++) {
              const v = w[(f * k + a) * k + b];
              for (let y = 0, p = 0; y < oh; y++)
                for (let xx = 0, i = (f * H + y * stride + a) * W + b; xx < ow; xx++, i += stride, p++)
                  o[p] += v * from[i];
            }
        }
        return { d: out, c: nf, h: oh, w: ow };
      }
      const K = ni * k * k,
        // what each weight of a filter meets, four places side by side
        cols = new Float64Array(Math.ceil(P / 4) * 4 * K);
      for (let i = 0, r = 0; i < ni; i++)
        for (let a = 0; a < k; a++)
          for (let b = 0; b < k; b++, r++)
            for (let y = 0, p = 0; y < oh; y++) {
              const row = (i * H + y * stride + a) * W + b;
              for (let xx = 0; xx < ow; xx++, p++) cols[((p >> 2) * K + r) * 4 + (p & 3)] = from[row + xx * stride];
            }
      for (let p = 0; p < P; p += 4)
        for (let f = 0; f < nf; f += 4) { // four filters at four places: sixteen sums at once
          let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0, c0 = 0, c1 = 0, c2 = 0, c3 = 0, d0 = 0,
            d1 = 0, d2 = 0, d3 = 0;
          for (let i = f * K, j = p * K, end = i + 4 * K; i < end; i += 4, j += 4) {
            const u0 = w[i], u1 = w[i + 1], u2 = w[i + 2], u3 = w[i + 3], v0 = cols[j], v1 = cols[j + 1],
              v2 = cols[j + 2], v3 = cols[j + 3];
            a0 += u0 * v0;
            a1 += u0 * v1;
            a2 += u0 * v2;
            a3 += u0 * v3;
            b0 += u1 * v0;
            b1 += u1 * v1;
            b2 += u1 * v2;
            b3 += u1 * v3;
            c0 += u2 * v0;
            c1 += u2 * v1;
            c2 += u2 * v2;
            c3 += u2 * v3;
            d0 += u3 * v0;
            d1 += u3 * v1;
            d2 += u3 * v2;
            d3 += u3 * v3;
          }
          const sums = [[a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]];
          for (let g = f; g < nf && g < f + 4; g++)
            for (let q = p; q < P && q < p + 4; q++) out[g * P + q] = sums[g - f][q - p] + bias[g];
        }
      return { d: out, c: nf, h: oh, w: ow };
    },
    affine(x, { scale, shift }) {
      const n = x.h * x.w;
      for (let c = 0, i = 0; c < x.c; c++) for (let p = 0; p < n; p++, i++) x.d[i] = x.d[i] * scale[c] + shift[c];
      return x;
    },
    relu(x) {
      const { d } = x;
      for (let i = 0; i < d.length; i++) if (d[i] < 0) d[i] = 0;
      return x;
    },
    relu6(x) {
      const { d } = x;
      for (let i = 0; i < d.length; i++)
        d[i] =
          d[i] < 0 ? 0
          : d[i] > 6 ? 6
          : d[i];
      return x;
    },
    gelu(x) {
      const { d } = x;
      for (let i = 0; i < d.length; i++) d[i] *= 0.5 * erfc(-d[i] * Math.SQRT1_2);
      return x;
    },
    max(x, { k, stride, pad }) {
      return pooled(x, k, stride, pad, false, -Infinity, (n, at) => {
        let m = -Infinity;
        for (let i = 0; i < n; i++) {
          const v = at(i);
          if (v > m) m = v;
        }
        return m;
      });
    },
    mean(x, { k, stride, pad: ceil }) {
      return pooled(x, k, stride, 0, ceil, NaN, (n, at) => {
        let s = 0, m = 0;
        for (let i = 0; i < n; i++) {
          const v = at(i);
          if (v === v) {
            s += v;
            m++;
          }
        }
        return s / m;
      });
    },
    branch(x, { body, short }) {
      const a = run(body, { ...x, d: x.d.slice() }), b = run(short, x);
      for (let i = 0; i < a.d.length; i++) a.d[i] += b.d[i];
      return a;
    },
  };
  function pooled(x, k, stride, pad, ceil, fill, of) {
    // with `ceil` the last window may hang over the edge: what is not there is not counted
    const size = (n) => {
      const m = (n + 2 * pad - k) / stride, out = (ceil ? Math.ceil(m) : Math.floor(m)) + 1;
      return ceil && (out - 1) * stride >= n + pad ? out - 1 : out;
    };
    const oh = size(x.h), ow = size(x.w), H = Math.max((oh - 1) * stride + k, x.h + pad),
      W = Math.max((ow - 1) * stride + k, x.w + pad), from = padded(x, pad, pad, H, W, fill),
      out = new Float64Array(x.c * oh * ow);
    for (let i = 0, p = 0; i < x.c; i++)
      for (let y = 0; y < oh; y++)
        for (let xx = 0; xx < ow; xx++, p++)
          out[p] = of(k * k, (j) => from[(i * H + y * stride + Math.floor(j / k)) * W + xx * stride + (j % k)]);
    return { d: out, c: x.c, h: oh, w: ow };
  }
  // By its Taylor series near 0, else by a continued fraction.
  function erfc(v) {
    const z = Math.abs(v);
    let out;
    if (z < 2.5) {
      let term = z, sum = z;
      for (let n = 1; n < 60 && Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
        term *= (-z * z) / n;
        sum += term / (2 * n + 1);
      }
      out = 1 - (2 / Math.sqrt(Math.PI)) * sum;
    } else {
      let f = z;
      for (let n = 40; n > 0; n--) f = z + n / 2 / f;
      out = Math.exp(-z * z) / Math.sqrt(Math.PI) / f;
    }
    return v < 0 ? 2 - out : out;
  }
  const run = (steps, x) => steps.reduce((y, s) => does[s.kind](y, s), x);
  // What each cell adds to each class.
  function cells(x, side) {
    const { steps, head, bias } = net, maps = run(steps, { d: Float64Array.from(x), c: 3, h: side, w: side }),
      n = maps.h * maps.w, k = bias.length, out = new Float64Array(k * n);
    for (let c = 0; c < k; c++) {
      const o = out.subarray(c * n, c * n + n);
      for (let i = 0; i < maps.c; i++) {
        const v = head.w[c * maps.c + i] / n;
        for (let p = 0, j = i * n; p < n; p++, j++) o[p] += v * maps.d[j];
      }
    }
    return { cells: out, h: maps.h, w: maps.w };
  }
  return { load, cells };
}

// ── pictures: { d (bytes, three a pixel), w, h } ──

// Bicubic with the window of PIL's `resize`: as wide as a pixel of the result, in whole numbers, across first. Equal to
// PIL's to the bit.
const cubic = (v) => {
  const x = Math.abs(v), a = -0.5;
  return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
};
function taps(n, to) {
  const scale = n / to, wide = Math.max(1, scale), reach = 2 * wide, out = [];
  for (let i = 0; i < to; i++) {
    const mid = (i + 0.5) * scale, first = Math.max(0, Math.trunc(mid - reach + 0.5)),
      last = Math.min(n, Math.trunc(mid + reach + 0.5)), w = [];
    for (let k = first; k < last; k++) w.push(cubic((k - mid + 0.5) / wide));
    const sum = w.reduce((s, v) => s + v, 0);
    out.push({
      first,
      w: Float64Array.from(w, (v) => {
        const u = (v / sum) * 4194304;
        return Math.trunc(u < 0 ? u - 0.5 : u + 0.5);
      }),
    });
  }
  return out;
}
const byte = (sum) => { const v = Math.floor((sum + 2097152) / 4194304); return v < 0 ? 0 : v > 255 ? 255 : v; };
export function resized(picture, w, h) {
  if (picture.w === w && picture.h === h) return picture;
  const across = taps(picture.w, w), down = taps(picture.h, h), { d } = picture;
  let mid = d;
  if (picture.w !== w) {
    mid = new Uint8ClampedArray(picture.h * w * 3);
    for (let y = 0; y < picture.h; y++) for (let x = 0; x < w; x++) {
      const t = across[x], n = t.w.length;
      let r = 0, g = 0, b = 0;
      for (let k = 0, i = 3 * (y * picture.w + t.first); k < n; k++, i += 3) {
        const v = t.w[k];
        r += v * d[i];
        g += v * d[i + 1];
        b += v * d[i + 2];
      }
      const o = 3 * (y * w + x);
      mid[o] = byte(r); mid[o + 1] = byte(g); mid[o + 2] = byte(b);
    }
  }
  if (picture.h === h) return { d: mid, w, h };
  const out = new Uint8ClampedArray(h * w * 3), row = new Float64Array(3 * w);
  for (let y = 0; y < h; y++) {
    const t = down[y];
    row.fill(0);
    for (let k = 0; k < t.w.length; k++) {
      const v = t.w[k], from = 3 * w * (t.first + k);
      for (let i = 0; i < row.length; i++) row[i] += v * mid[from + i];
    }
    for (let i = 0; i < row.length; i++) out[3 * w * y + i] = byte(row[i]);
  }
  return { d: out, w, h };
}
const sizeOf = (w, h, side) => {
  const by = side / Math.max(w, h);
  return [w, h].map((v) => Math.max(1, Math.floor(v * by + 0.5)));
};
const limited = (p, side) => (Math.max(p.w, p.h) > side ? resized(p, ...sizeOf(p.w, p.h, side)) : p);
function cut(p, l, t, w, h) {
  const d = new Uint8ClampedArray(3 * w * h);
  for (let y = 0; y < h; y++) d.set(p.d.subarray(3 * ((t + y) * p.w + l), 3 * ((t + y) * p.w + l + w)), 3 * y * w);
  return { d, w, h };
}
const middle = (p) => {
  const s = Math.min(p.w, p.h);
  return [Math.floor((p.w - s) / 2), Math.floor((p.h - s) / 2), s];
};
function region(p, box, crop) {
  const [l, t, s] = crop ? middle(p) : [0, 0, 0], [w, h] = crop ? [s, s] : [p.w, p.h];
  const [x0, y0, x1, y1] = box.map((v, i) => Math.floor(v * [w, h][i % 2] + 0.5));
  return cut(p, l + x0, t + y0, Math.max(x1, x0 + 1) - x0, Math.max(y1, y0 + 1) - y0);
}
function gray(p) {
  const [w, h] = sizeOf(p.w, p.h, 328), { d } = resized(p, w, h);
  return new ND(
    Float64Array.from({ length: w * h }, (_, i) =>
      Math.floor((299 * d[3 * i] + 587 * d[3 * i + 1] + 114 * d[3 * i + 2]) / 1000),
    ),
    [h, w], "B",
  );
}
function thumb(p) {
  const [l, t, s] = middle(p), { d } = resized(cut(p, l, t, s, s), 36, 36);
  return new ND(
    Float64Array.from({ length: 36 * 36 * 4 }, (_, i) => (i % 4 === 3 ? 255 : d[3 * (i >> 2) + (i % 4)])), [36, 36, 4],
    "B",
  );
}
function erasing(h, w, strokes, aspect) {
  const wide = Math.max(1, aspect), tall = Math.max(1, 1 / aspect), out = new Uint8Array(h * w);
  for (const [x, y, r] of strokes)
    for (let i = 0; i < h; i++)
      for (let j = 0; j < w; j++)
        if (
          (((j + 0.5) / w) * wide - x * wide) ** 2 + (((i + 0.5) / h) * tall - y * tall) ** 2 <
          (r * Math.max(wide, tall)) ** 2
        )
          out[i * w + j] = 1;
  return out;
}
const plainPicture = (a) => ({ d: Uint8ClampedArray.from(a.data), h: a.shape[0], w: a.shape[1] });
const asArray = (p) => new ND(Float64Array.from(p.d), [p.h, p.w, 3], "B");

// ── twins of cam_data's small steps ──

export function softmax(logits) {
  const z = [...logits.data], top = Math.max(...z), e = z.map((v) => Math.exp(v - top)),
    sum = e.reduce((s, v) => s + v, 0);
  return new ND(Float64Array.from(e, (v) => v / sum), [z.length]);
}
function finer(heat, n = 64) { // bilinear between the cells' middles
  const [h, w] = heat.shape, out = new Float64Array(n * n);
  const at = (i, m) => {
    const v = Math.max(0, ((i + 0.5) * m) / n - 0.5), a = Math.floor(v);
    return [a, Math.min(a + 1, m - 1), v - a];
  };
  for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
    const [a, b, u] = at(y, h), [c, d, v] = at(x, w), g = heat.data;
    out[y * n + x] =
      (1 - u) * ((1 - v) * g[a * w + c] + v * g[a * w + d]) + u * ((1 - v) * g[b * w + c] + v * g[b * w + d]);
  }
  return new ND(out, [n, n]);
}
export function overlay(heat, limit, opacity, threshold, native) {
  const m = native ? py.div(heat, 1) : finer(heat), out = new Float64Array(m.size * 4);
  m.data.forEach((value, i) => {
    const v = Math.min(Math.max(value / limit, -1), 1), a = Math.abs(v);
    out.set(
      [...(v > 0 ? [213, 94, 0] : [0, 114, 178]), Math.floor(255 * (a < threshold ? 0 : a) * opacity + 0.5)],
      4 * i,
    );
  });
  return new ND(out, [...m.shape, 4], "B");
}
export function second_look(heat) {
  const n = 64, s = 32, m = finer(heat).data, sums = new Float64Array((n + 1) * (n + 1));
  for (let y = 0; y < n; y++)
    for (let x = 0; x < n; x++)
      sums[(y + 1) * (n + 1) + x + 1] =
        Math.max(m[y * n + x], 0) + sums[y * (n + 1) + x + 1] + sums[(y + 1) * (n + 1) + x] - sums[y * (n + 1) + x];
  const found = [];
  for (let t = 0; t <= n - s; t++)
    for (let l = 0; l <= n - s; l++)
      found.push([
        sums[(t + s) * (n + 1) + l + s] -
          sums[t * (n + 1) + l + s] -
          sums[(t + s) * (n + 1) + l] +
          sums[t * (n + 1) + l],
        t, l,
      ]);
  const best = Math.max(...found.map((f) => f[0])), far = ([, t, l]) => (t - (n - s) / 2) ** 2 + (l - (n - s) / 2) ** 2;
  const [, t, l] = found.filter((f) => f[0] >= best * (1 - 1e-6) - 1e-12).sort((a, b) => far(a) - far(b))[0];
  return [l / n, t / n, (l + s) / n, (t + s) / n];
}

// ── asking the net ──

const SMALL = 40_000; // weights: below, the answer comes at once
function ask(net) { // → (x, side) ⇒ { cells, h, w }, or a promise of it
  const product = (a) => a.reduce((s, v) => s * v, 1),
    count = (steps) =>
      steps.reduce(
        (s, [kind, ...v]) =>
          s +
          (kind === "conv" ? product(v[0][2])
          : kind === "branch" ? count(v[0]) + count(v[1])
          : 0),
        0,
      );
  const here = () => { const m = machine(); m.load(net); return m.cells; };
  if (count(net.get("steps")) < SMALL) return here();
  let direct = null;
  const waiting = new Map();
  try {
    const hears = "({ data: [n, x, side] }) => (side ? postMessage([n, m.cells(x, side)]) : m.load(x))";
    const program = `const m = (${machine})(); onmessage = ${hears};`;
    const worker = new Worker(URL.createObjectURL(new Blob([program], { type: "text/javascript" })));
    let n = 0;
    worker.onmessage = ({ data: [i, answer] }) => { waiting.get(i)[0](answer); waiting.delete(i); };
    worker.onerror = () => {
      direct ??= here();
      for (const [answer, x, side] of waiting.values()) answer(direct(x, side));
      waiting.clear();
    };
    worker.postMessage([0, net, 0]);
    return (x, side) =>
      direct ?
        direct(x, side)
      : new Promise((answer) => {
          waiting.set(++n, [answer, x, side]);
          worker.postMessage([n, x, side]);
        });
  } catch { return here(); }
}
export function eye(net) { // { input(picture, strokes), look(picture, box, strokes) }
  const answer = ask(net), side = net.get("size"), crop = net.get("crop"), mean = net.get("mean"), std = net.get("std"),
    bias = net.get("bias").data;
  const input = (part, strokes) => {
    const { d } = resized(part, side, side), n = side * side, x = new Float64Array(3 * n);
    for (let i = 0; i < n; i++) for (let c = 0; c < 3; c++) x[c * n + i] = (d[3 * i + c] - mean[c]) / std[c];
    if (!strokes.length) return { x, erased: 0 };
    const mask = erasing(side, side, strokes, part.w / part.h);
    mask.forEach((v, i) => { if (v) x[i] = x[n + i] = x[2 * n + i] = 0; });
    return { x, erased: mask.reduce((s, v) => s + v, 0) / n };
  };
  const look = (picture, box, strokes) => {
    const part = region(picture, box, crop), { x, erased } = input(part, strokes), shown = gray(part);
    if (strokes.length)
      erasing(...shown.shape, strokes, part.w / part.h).forEach((v, i) => {
        const w = shown.shape[1];
        if (v) shown.data[i] = (Math.floor(i / w) + (i % w)) % 12 < 3 ? 235 : 118; // stripes (cam_data.STRIPE)
      });
    const laid = ({ cells, h, w }) => {
      const n = h * w,
        logits = Float64Array.from(bias, (b, k) => {
          let s = b;
          for (let i = 0; i < n; i++) s += cells[k * n + i];
          return s;
        });
      return { shown, cells: new ND(cells, [bias.length, h, w]), logits: new ND(logits, [bias.length]), erased };
    };
    const said = answer(x, side);
    return said instanceof Promise ? said.then(laid) : laid(said);
  };
  return { input, look };
}

// A file of the reader's: decoded by the browser, which turns it upright; what is transparent is laid on white.
export async function opened(name, bytes) {
  const fail = (why) => { throw new py.PyError("ValueError", `${name}: ${why}`); };
  if (!bytes) fail("the browser cannot read it as a picture, and it is large");
  if (!bytes.byteLength) fail("the file is empty");
  const start = new Uint8Array(bytes, 0, Math.min(12, bytes.byteLength)), ascii = String.fromCharCode(...start),
    notes = [];
  if (ascii.startsWith("GIF8")) notes.push("a GIF: its first frame is taken");
  let whole = null;
  try {
    whole = await createImageBitmap(new Blob([bytes]));
  } catch {
    fail(
      ascii.slice(4, 8) === "ftyp" ?
        "a HEIC photograph, which this browser cannot read: export it as JPEG"
      : "damaged, or no picture, whatever its name says",
    );
  }
  let [w, h] = [whole.width, whole.height];
  if (w * h > 2e7) notes.push(`huge (${Math.round((w * h) / 1e6)} megapixels)`);
  const by = Math.min(1, 4096 / Math.max(w, h)); // no more than a phone's canvas holds
  [w, h] = [w, h].map((v) => Math.max(1, Math.round(v * by)));
  const g = new OffscreenCanvas(w, h).getContext("2d");
  g.fillStyle = "#fff";
  g.fillRect(0, 0, w, h);
  g.imageSmoothingQuality = "high";
  g.drawImage(whole, 0, 0, w, h);
  whole.close();
  const { data } = g.getImageData(0, 0, w, h), d = new Uint8ClampedArray(3 * w * h);
  for (let i = 0, j = 0; i < data.length; i += 4) { d[j++] = data[i]; d[j++] = data[i + 1]; d[j++] = data[i + 2]; }
  return [limited({ d, w, h }, 1024), notes];
}

export const methods = (e, tell) => {
  const net = eye(e.kit.net), known = new WeakMap();
  const source = (i) => {
    const a = e.pictures[i];
    if (!known.has(a)) known.set(a, plainPicture(a));
    return known.get(a);
  };
  const current = () => py.eq(e._of, [e.picture, e.zoomed, e.strokes]),
    state = () => [e.picture, e.zoomed, e.strokes, e.target, e.versus];
  let waits = null; // [question, state]: its answer waits for the net
  const finish = () => {
    call(e, "refresh");
    if (waits && e._asked !== waits[0]) waits = null; // put away, or another was asked
    else if (waits && !py.eq(state(), waits[1])) { // the reader went on before the answer came
      e._asked = new Map();
      waits = null;
    }
    else if (waits && current()) {
      const { answer, right, guesses } = e._questions[e._asked.get("i")], record = call(e, "record");
      e._asked = new Map([...e._asked, ["answer", answer(record)]]);
      if (e._asked.has("right") && typeof right === "function")
        e._asked.set("right", guesses[right(record)]);
      waits = null;
    }
    tell();
  };
  e._paging = false; // it was being written
  e.whole ??= e.seen;
  e.base ??= e.seen;
  let turn = 0, busy = false, next = false, asked = [];
  // The steps of `_look` in Python; each may have to wait for the worker, and the reader may be elsewhere by then.
  function* steps() {
    const p = source(e.picture), now = (asked = [e.picture, e.zoomed]), [strokes, mine] = [e.strokes, ++turn];
    if (!py.eq(e._was, now)) {
      if (!e._was.length || e._was[0] !== now[0]) {
        const whole = yield net.look(p, [0, 0, 1, 1], []);
        if (mine !== turn) return;
        e.whole = whole;
      }
      call(e, "_aim");
      const base = e.zoomed ? yield net.look(p, e.box, []) : e.whole;
      if (mine !== turn) return;
      e.base = base;
    }
    const look = strokes.length ? yield net.look(p, e.box.length ? e.box : [0, 0, 1, 1], strokes) : e.base;
    if (mine !== turn) return;
    call(e, "_note", look, strokes);
  }
  function go(way, value, late) {
    for (;;) {
      const { value: got, done } = way.next(value);
      if (done) { busy = false; if (late) finish(); if (next) { next = false; look(); } return; }
      if (got instanceof Promise) { busy = true; got.then((v) => go(way, v, true)); return; }
      value = got;
    }
  }
  function look() {
    if (busy) { // one question at a time, then the newest
      next = true;
      if (!py.eq(asked, [e.picture, e.zoomed])) turn++;
    }
    else if (!current()) go(steps());
    return null;
  }
  return {
    _look: look,
    ask(i, guess) { // the answer is given once: what is said of a state stays so when the state moves
      Object.getPrototypeOf(e).ask(e, i, guess);
      waits =
        current() || typeof e._questions[i]?.answer !== "function" ?
          null
        : [(e._asked = new Map([...e._asked, ["answer", "The net is still looking."]])), state()];
      return null;
    },
    on_file(name, bytes) {
      opened(name, bytes && (bytes instanceof ArrayBuffer ? bytes : bytes.buffer)).then(([picture, notes]) => {
        e.pictures = [...e.pictures, asArray(picture)];
        e.labels = [...e.labels, name];
        e.truth = [...e.truth, ""];
        e.numbers = [...e.numbers, -1];
        e.notes = [...e.notes, notes];
        e.thumbs = [...e.thumbs, thumb(picture)];
        e.picture = e.pictures.length - 1;
        tell();
      }).catch((error) => { call(e, "_fail", error); tell(); });
      return null;
    },
  };
};
