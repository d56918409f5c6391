"use strict";
/* The steps of recipe.py, for one face at a time. Maps are {c, h, w, data}, channel after channel. */

// --- arrays out of the page ------------------------------------------------------------------------

/* All 65,536 half precision numbers by their bits (IEEE 754): sign, 5 bits of exponent, 10 of fraction. */
const HALF = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  HALF[bits] = sign * (exponent === 31 ? (fraction ? NaN : Infinity)
    : exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}

/* Puts an array wherever the recipe only says where it lies among the bytes. */
function unpacked(value, bytes) {
  if (Array.isArray(value)) return value.map((part) => unpacked(part, bytes));
  if (value === null || typeof value !== "object") return value;
  if ("at" in value) {
    const size = value.shape.reduce((a, b) => a * b, 1);
    const [Kind, change] = {
      "<f2": [Uint16Array, (array) => Float32Array.from(array, (bits) => HALF[bits])],
      "<f4": [Float32Array, (array) => array],
      "|u1": [Uint8Array, (array) => array],
    }[value.type];
    return { shape: value.shape, data: change(new Kind(bytes, value.at, size)) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unpacked(part, bytes)]));
}

// --- products -------------------------------------------------------------------------------------

const ROWS = 4, PLACES = 4; // of a tile of outputs, whose sixteen sums stay in the processor's registers

/* A kernel (size, size, in, out) as tiles: for ROWS outputs at a time the taps in the order of `offsets`. */
function tiled(kernel) {
  const [kh, kw, ins, outs] = kernel.shape, taps = ins * kh * kw, blocks = Math.ceil(outs / ROWS);
  const tiles = new Float32Array(blocks * taps * ROWS);
  for (let o = 0; o < outs; o++) {
    let at = Math.floor(o / ROWS) * taps * ROWS + o % ROWS;
    for (let i = 0; i < ins; i++)
      for (let place = 0; place < kh * kw; place++, at += ROWS)
        tiles[at] = kernel.data[(place * ins + i) * outs + o];
  }
  return tiles;
}

/* Maps with zeros around them, so that no tap of any part needs to ask whether it is outside. */
function framed(x, top, left, bottom, right) {
  const h = x.h + top + bottom, w = x.w + left + right, data = new Float32Array(x.c * h * w);
  for (let c = 0; c < x.c; c++)
    for (let y = 0; y < x.h; y++) {
      const from = (c * x.h + y) * x.w;
      data.set(x.data.subarray(from, from + x.w), (c * h + y + top) * w + left);
    }
  return { c: x.c, h, w, data };
}

/* A convolution, or a transposed one as four that each give every second row and column. */
function conv(x, step) {
  const h = x.h * step.stride + step.extra, w = x.w * step.stride + step.extra;
  const outs = step.parts[0].kernel.shape[3], y = { c: outs, h, w, data: new Float32Array(outs * h * w) };
  for (const part of step.parts) {
    part.tiles ??= tiled(part.kernel);
    const [kh, kw, ins] = part.kernel.shape, taps = ins * kh * kw;
    const rows = Math.ceil((h - part.row) / step.stride), columns = Math.ceil((w - part.column) / step.stride);
    const f = framed(x, part.top, part.left, rows + kh - 1 - part.top - x.h, columns + kw - 1 - part.left - x.w);
    const offsets = new Int32Array(taps);
    for (let i = 0, t = 0; i < ins; i++)
      for (let v = 0; v < kh; v++) for (let u = 0; u < kw; u++) offsets[t++] = (i * f.h + v) * f.w + u;
    const seen = new Float32Array(taps * PLACES), count = rows * columns;
    const from = new Int32Array(PLACES), to = new Int32Array(PLACES);
    for (let first = 0; first < count; first += PLACES) {
      for (let p = 0; p < PLACES; p++) {
        const place = Math.min(first + p, count - 1), row = Math.floor(place / columns), column = place % columns;
        from[p] = row * f.w + column;
        to[p] = (row * step.stride + part.row) * w + column * step.stride + part.column;
      }
      gather(f.data, offsets, from, seen);
      multiply(seen, part.tiles, taps, outs, y.data, to, h * w);
    }
  }
  return y;
}

/* What the taps see at four places, side by side. */
function gather(data, offsets, from, seen) {
  const a = from[0], b = from[1], c = from[2], d = from[3];
  for (let t = 0, at = 0; t < offsets.length; t++, at += PLACES) {
    const offset = offsets[t];
    seen[at] = data[offset + a];
    seen[at + 1] = data[offset + b];
    seen[at + 2] = data[offset + c];
    seen[at + 3] = data[offset + d];
  }
}

/* Every output at four places: four outputs at once, so that each number that is read serves four times. */
function multiply(seen, tiles, taps, outs, y, to, plane) {
  const end = taps * PLACES;
  for (let o = 0, k = 0; o < outs; o += ROWS) {
    let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
    let c0 = 0, c1 = 0, c2 = 0, c3 = 0, d0 = 0, d1 = 0, d2 = 0, d3 = 0;
    for (let s = 0; s < end; s += PLACES, k += ROWS) {
      const p = seen[s], q = seen[s + 1], r = seen[s + 2], t = seen[s + 3];
      const a = tiles[k], b = tiles[k + 1], c = tiles[k + 2], d = tiles[k + 3];
      a0 += a * p; a1 += a * q; a2 += a * r; a3 += a * t;
      b0 += b * p; b1 += b * q; b2 += b * r; b3 += b * t;
      c0 += c * p; c1 += c * q; c2 += c * r; c3 += c * t;
      d0 += d * p; d1 += d * q; d2 += d * r; d3 += d * t;
    }
    put(y, o, outs, to, plane, a0, a1, a2, a3);
    put(y, o + 1, outs, to, plane, b0, b1, b2, b3);
    put(y, o + 2, outs, to, plane, c0, c1, c2, c3);
    put(y, o + 3, outs, to, plane, d0, d1, d2, d3);
  }
}

function put(y, o, outs, to, plane, p, q, r, t) {
  if (o >= outs) return;
  const at = o * plane;
  // Backwards: where there are less than four places left, the last is there several times, and right.
  y[at + to[3]] = t; y[at + to[2]] = r; y[at + to[1]] = q; y[at + to[0]] = p;
}

function dense(step, x) {
  const [ins, outs] = step.kernel.shape, kernel = step.kernel.data, gain = step.gain ?? 1;
  const sums = new Float64Array(outs);
  for (let i = 0; i < ins; i++)
    for (let o = 0, k = i * outs, value = x[i]; o < outs; o++) sums[o] += value * kernel[k + o];
  return Float32Array.from(sums, (sum, o) => gain * sum + (step.bias ? step.bias.data[o] : 0));
}

// --- maps, channel by channel ----------------------------------------------------------------------

/* change(value, channel, place), where the number stands. */
function each(x, change) {
  for (let c = 0, at = 0, plane = x.h * x.w; c < x.c; c++)
    for (let place = 0; place < plane; place++, at++) x.data[at] = change(x.data[at], c, place);
  return x;
}

const copied = (x) => ({ ...x, data: x.data.slice() });

/* (1, 3, 3, 1) / 4 along rows and columns; gain 4, since of four places between three were empty. */
function smooth(x, before, after) {
  const f = framed(x, before, before, after, after), w = f.w - 3, h = f.h - 3;
  const across = { c: f.c, h: f.h, w, data: new Float32Array(f.c * f.h * w) };
  each(across, (_, c, place) => {
    const at = c * f.h * f.w + Math.floor(place / w) * f.w + place % w;
    return (f.data[at] + 3 * (f.data[at + 1] + f.data[at + 2]) + f.data[at + 3]) / 4;
  });
  const y = { c: f.c, h, w, data: new Float32Array(f.c * h * w) };
  return each(y, (_, c, place) => {
    const at = c * f.h * w + place, d = across.data;
    return (d[at] + 3 * (d[at + w] + d[at + 2 * w]) + d[at + 3 * w]) / 4;
  });
}

/* Twice the size: zeros between the pixels, then the filter. */
function enlarged(x) {
  const y = { c: x.c, h: 2 * x.h, w: 2 * x.w, data: new Float32Array(4 * x.data.length) };
  each(x, (value, c, place) => {
    y.data[(c * y.h + 2 * Math.floor(place / x.w)) * y.w + 2 * (place % x.w)] = value;
    return value;
  });
  return smooth(y, 2, 1);
}

/* Sums of squares of a kernel's taps, (in, out): how long its rows become under a style. */
function squares(step) {
  const [, , ins, outs] = step.parts[0].kernel.shape, sums = new Float32Array(ins * outs);
  for (const { kernel } of step.parts)
    kernel.data.forEach((value, at) => { sums[at % sums.length] += value * value; });
  return { shape: [ins, outs], data: sums };
}

// --- the steps ------------------------------------------------------------------------------------

const STEPS = {
  normalize(x) {
    const length = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
    return x.map((value) => value / length);
  },
  dense(x, step, codes) {
    const y = dense(step, "style" in step ? codes[step.style] : x);
    return step.shape ? { c: step.shape[0], h: step.shape[1], w: step.shape[2], data: y } : y;
  },
  scale: (x, step) => each(x, (value, c) => value * step.scale.data[c] + step.shift.data[c]),
  leaky(x, step) {
    const change = (value) => (value > 0 ? value : step.slope * value);
    return x.data ? each(x, change) : x.map(change);
  },
  tanh: (x, step) => each(x, (value) => Math.tanh(step.gain * value)),
  conv,
  constant(x, step) {
    const [c, h, w] = step.maps.shape;
    return { c, h, w, data: step.maps.data.slice() };
  },
  styled(x, step, codes) {
    const style = dense(step.affine, codes[step.style]);
    let y = conv(each(x, (value, c) => value * style[c]), step);
    if (step.stride === 2) y = smooth(y, 1, 1);
    step.squares ??= squares(step);
    const lengths = dense({ kernel: step.squares }, style.map((s) => s * s));
    const gains = lengths.map((length) => step.gain / Math.sqrt(length + 1e-8));
    return each(y, (value, c, place) => {
      const sum = value * gains[c] + step.noise.data[place] + step.bias.data[c];
      return sum > 0 ? sum : step.slope * sum;
    });
  },
  colours(x, step, codes, canvas) {
    const style = dense(step.affine, codes[step.style]).map((s) => s * step.gain);
    const larger = canvas.colours ? enlarged(canvas.colours) : null;
    const y = conv(each(copied(x), (value, c) => value * style[c]), step);
    const plane = y.h * y.w;
    canvas.colours = each(y, (value, c, place) =>
      value + step.bias.data[c] + (larger ? larger.data[c * plane + place] : 0));
    return x;
  },
  clip: (x, step, codes, canvas) =>
    each(canvas.colours, (value) => Math.min(1, Math.max(-1, value))),
};

/* One face, or one code: x is latents, or nothing where steps begin with codes. */
function run(steps, x, codes) {
  const canvas = {};
  for (const step of steps) x = STEPS[step.op](x, step, codes, canvas);
  return x;
}

/* A picture in [-1, 1] as the bytes of a canvas: red, green, blue, opaque. */
function pixels(picture) {
  const bytes = new Uint8ClampedArray(4 * picture.h * picture.w).fill(255);
  each(picture, (value, c, place) => {
    bytes[4 * place + c] = Math.round((value + 1) * 127.5);
    return value;
  });
  return bytes;
}

// --- faces that the page asks for --------------------------------------------------------------------

/* Along the great circle between two latents: on a straight line between them no latents ever lie. */
function slerp(a, b, t) {
  const length = (x) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const first = length(a), last = length(b);
  const cosine = a.reduce((sum, value, i) => sum + value * b[i], 0) / (first * last);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine))), sine = Math.sin(angle);
  if (sine < 1e-6) return a;
  const radius = (1 - t) * first + t * last;
  return a.map((value, i) => radius / sine
    * (Math.sin((1 - t) * angle) * value / first + Math.sin(t * angle) * b[i] / last));
}

/* The picture of a wish: two faces' latents, how far from one to the other, which layers, what is moved. */
function drawn(recipe, wish) {
  const code = (latents) => run(recipe.mapping, latents, []);
  const mean = recipe.mean && recipe.mean.data, [, length] = recipe.directions.shape;
  const moved = (from) => {
    const to = from.map((value, i) => (mean ? mean[i] + wish.truncation * (value - mean[i]) : value));
    wish.moved.forEach((amount, k) => {
      for (let i = 0; i < length; i++) to[i] += amount * recipe.directions.data[k * length + i];
    });
    return Float32Array.of(...to, ...wish.row);
  };
  let first, second;
  if (recipe.styles > 1) {
    second = code(wish.second);
    first = code(wish.first).map((value, i) => (1 - wish.morph) * value + wish.morph * second[i]);
  } else first = second = code(slerp(wish.first, wish.second, wish.morph));
  const codes = [moved(first), moved(second)];
  const layers = Array.from({ length: recipe.styles }, (_, i) => codes[i < wish.layer ? 0 : 1]);
  return pixels(run(recipe.synthesis, null, layers));
}

/* In a worker: first the recipe comes, of which one face is known; then wishes, one at a time. */
if (typeof WorkerGlobalScope !== "undefined") {
  let recipe;
  onmessage = ({ data }) => {
    if (data.content) {
      recipe = unpacked(data.content, data.bytes);
      const { latents, row, picture } = recipe.known, first = latents.data;
      const wish = { first, second: first, row: [...row.data], morph: 0, layer: recipe.styles, truncation: 1, moved: [] };
      const found = drawn(recipe, wish);
      let apart = 0;
      picture.data.forEach((value, i) => {
        apart = Math.max(apart, Math.abs(value - found[Math.floor(i / 3) * 4 + i % 3]));
      });
      postMessage({ apart });
    } else {
      const start = performance.now(), picture = drawn(recipe, data.wish);
      postMessage({ pixels: picture, ms: performance.now() - start }, [picture.buffer]);
    }
  };
}
