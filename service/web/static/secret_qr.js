// Draws the QR code of a person's secret (ISO/IEC 18004), in the browser, because the secret is not sent for it.
// One size is enough: version 4, error correction M, alphanumeric mode holds 90 characters; the secret has 70.

const SIZE = 33;
const DATA_CODEWORDS = 64; // two blocks of 32
const BLOCKS = 2;
const CORRECTION_CODEWORDS = 18; // of each block
const CAPACITY = 90;
const CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const LEVEL_M_MASK_0 = 0b101010000010010; // format information (table C.1)
const QUIET = 4;

export function drawQr(canvas, text) {
  const modules = qrModules(text);
  const scale = 6;
  canvas.width = canvas.height = (SIZE + 2 * QUIET) * scale;
  const picture = canvas.getContext("2d");
  picture.fillStyle = "#fff";
  picture.fillRect(0, 0, canvas.width, canvas.height);
  picture.fillStyle = "#000";
  modules.forEach((row, y) => row.forEach((isDark, x) => {
    if (isDark) picture.fillRect((x + QUIET) * scale, (y + QUIET) * scale, scale, scale);
  }));
}

// Returns 33 rows of 33 modules, dark ones true.
export function qrModules(text) {
  const bits = [...withCorrection(codewords(text))].flatMap((one) => bitsOf(one, 8));
  const { modules, isFixed } = patterns();
  let at = 0;
  let upwards = true;
  for (let right = SIZE - 1; right > 0; right -= 2) {
    if (right === 6) right -= 1; // the timing pattern has this column
    for (let step = 0; step < SIZE; step += 1) {
      const y = upwards ? SIZE - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (isFixed[y][x]) continue;
        const bit = at < bits.length ? bits[at] : 0;
        at += 1;
        modules[y][x] = Boolean(bit ^ Number((x + y) % 2 === 0)); // mask 0
      }
    }
    upwards = !upwards;
  }
  return modules;
}

function codewords(text) {
  if (text.length > CAPACITY) throw new RangeError("too long for this QR code");
  const bits = [...bitsOf(0b0010, 4), ...bitsOf(text.length, 9)];
  for (let at = 0; at < text.length; at += 2) {
    const values = [...text.slice(at, at + 2)].map((one) => CHARACTERS.indexOf(one));
    if (values.includes(-1)) throw new RangeError("a character has no place in this QR code");
    bits.push(...(values.length === 2 ? bitsOf(values[0] * 45 + values[1], 11) : bitsOf(values[0], 6)));
  }
  bits.push(...bitsOf(0, Math.min(4, DATA_CODEWORDS * 8 - bits.length)));
  while (bits.length % 8) bits.push(0);
  const words = [];
  for (let at = 0; at < bits.length; at += 8) words.push(parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let pad = 0xec; words.length < DATA_CODEWORDS; pad ^= 0xec ^ 0x11) words.push(pad);
  return words;
}

// Data and correction words of the two blocks, one of each in turn.
function withCorrection(words) {
  const length = DATA_CODEWORDS / BLOCKS;
  const blocks = [words.slice(0, length), words.slice(length)];
  const corrections = blocks.map(remainder);
  const woven = (lists) => lists[0].flatMap((_, at) => lists.map((one) => one[at]));
  return [...woven(blocks), ...woven(corrections)];
}

// Reed-Solomon over GF(256) with the polynomial 0x11d.
function remainder(block) {
  const generator = generatorPolynomial();
  const rest = new Array(CORRECTION_CODEWORDS).fill(0);
  for (const word of block) {
    const factor = word ^ rest.shift();
    rest.push(0);
    generator.forEach((one, at) => { rest[at] ^= product(one, factor); });
  }
  return rest;
}

function generatorPolynomial() {
  let found = [1];
  let root = 1;
  for (let degree = 0; degree < CORRECTION_CODEWORDS; degree += 1) {
    const next = [...found, 0];
    found.forEach((one, at) => { next[at + 1] ^= product(one, root); });
    found = next;
    root = product(root, 2);
  }
  return found.slice(1);
}

function product(a, b) {
  let result = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    result = (result << 1) ^ ((result >> 7) * 0x11d);
    result ^= ((b >> bit) & 1) * a;
  }
  return result & 0xff;
}

// The modules that every code of this size has, with the format information.
function patterns() {
  const modules = Array.from({ length: SIZE }, () => new Array(SIZE).fill(false));
  const isFixed = Array.from({ length: SIZE }, () => new Array(SIZE).fill(false));
  const set = (x, y, isDark) => {
    if (x < 0 || y < 0 || x >= SIZE || y >= SIZE) return;
    modules[y][x] = isDark;
    isFixed[y][x] = true;
  };
  for (let at = 0; at < SIZE; at += 1) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  for (const [left, top] of [[3, 3], [SIZE - 4, 3], [3, SIZE - 4]]) {
    square(4, (dx, dy, ring) => set(left + dx, top + dy, ring !== 2 && ring !== 4));
  }
  square(2, (dx, dy, ring) => set(26 + dx, 26 + dy, ring !== 1));
  for (let at = 0; at < 15; at += 1) {
    const isDark = Boolean((LEVEL_M_MASK_0 >> at) & 1);
    const [x, y] = at < 6 ? [8, at] : at < 8 ? [8, at + 1] : at < 9 ? [7, 8] : [14 - at, 8];
    set(x, y, isDark);
    if (at < 8) set(SIZE - 1 - at, 8, isDark);
    else set(8, SIZE - 15 + at, isDark);
  }
  set(8, SIZE - 8, true);
  return { modules, isFixed };
}

function square(radius, each) {
  for (let dy = -radius; dy <= radius; dy += 1) {
    for (let dx = -radius; dx <= radius; dx += 1) each(dx, dy, Math.max(Math.abs(dx), Math.abs(dy)));
  }
}

function bitsOf(value, count) {
  return Array.from({ length: count }, (_, at) => (value >> (count - 1 - at)) & 1);
}
