// Lesson 41 in the page: a picture with a border of zeros, and a kernel's sum at each place
// (lessonkit/explorers/conv_record.py).
export function padded(pixels, pad) {
  const [h, w] = pixels.shape, wide = w + 2 * pad, out = new Float64Array((h + 2 * pad) * wide);
  for (let i = 0; i < h; i++) for (let j = 0; j < w; j++) out[(i + pad) * wide + j + pad] = pixels.data[i * w + j];
  return new py.ND(out, [h + 2 * pad, wide]);
}
export function answers(pixels, kernel, stride, pad) {
  const seen = padded(pixels, pad), [h, w] = seen.shape,
    [rows, cols] = [h, w].map((n) => Math.floor((n - 3) / stride) + 1);
  const out = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) {
    let sum = 0;
    for (let k = 0; k < 9; k++)
      sum += kernel[k] * seen.data[(i * stride + Math.floor(k / 3)) * w + j * stride + (k % 3)];
    out[i * cols + j] = sum;
  }
  return new py.ND(out, [rows, cols]);
}
