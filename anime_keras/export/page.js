"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const STYLED = content.styles > 1; // faces have a style for each layer, and these can be of two faces
const words = Object.entries(content.words);

// --- numbers of a face -----------------------------------------------------------------------------

/* Mulberry32: the same number of a face always gives the same face. */
function randomOf(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/* Standard normal latents, by Box and Muller 1958. */
function latentsOf(number) {
  const random = randomOf(number);
  return Float32Array.from({ length: content.latent_dim }, () =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
}

/* A 1 for the word of each attribute: the one that is asked for, or one that the face's number draws. */
function rowOf(number) {
  const random = randomOf(~number), row = [];
  for (const [name, list] of words) {
    let chance = random(), drawn = 0;
    while (drawn < list.length - 1 && (chance -= content.shares[name][drawn]) >= 0) drawn++;
    const asked = state.words[name] ?? drawn;
    list.forEach((_, place) => row.push(place === asked ? 1 : 0));
  }
  return row;
}

const newNumber = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;

// --- what is shown ---------------------------------------------------------------------------------

const state = {
  first: 1, second: 2, morph: 0, layer: content.styles, truncation: content.mean ? 0.7 : 1,
  moved: new Array(content.directions.shape[0]).fill(0),
  words: {}, grid: Array.from({ length: 16 }, (_, i) => i + 1),
};
const alone = (number) => ({
  number,
  first: latentsOf(number), second: latentsOf(number), row: rowOf(number),
  morph: 0, layer: content.styles, truncation: state.truncation, moved: [],
});
const shown = () => ({
  ...alone(state.first), second: latentsOf(state.second),
  morph: state.morph, layer: state.layer, moved: state.moved.slice(),
});

// --- one worker, which draws one face at a time ------------------------------------------------------

const source = new Blob([JSON.parse($("engine").textContent)], { type: "text/javascript" });
const worker = new Worker(URL.createObjectURL(source));
let waiting = []; // [canvas, wish]; of a canvas only the newest
let drawing = null; // [canvas, wish] that the worker has now

function ask(canvas, wish) {
  waiting = waiting.filter(([other]) => other !== canvas);
  if (canvas === $("face")) waiting.unshift([canvas, wish]); else waiting.push([canvas, wish]);
  next();
}

function next() {
  document.documentElement.dataset.busy = !ready || Boolean(drawing) || waiting.length > 0;
  if (drawing || !ready || !waiting.length) return;
  drawing = waiting.shift();
  worker.postMessage({ wish: drawing[1] });
}

let ready = false;
worker.onmessage = ({ data }) => {
  if ("apart" in data) {
    ready = true;
    document.documentElement.dataset.apart = data.apart;
    if (data.apart > 2) warn(`Mind: this browser draws its first face other than Keras did, by up to `
      + `${data.apart} of 255 grey levels.`);
  } else {
    const [canvas, wish] = drawing;
    drawing = null;
    canvas.width = canvas.height = content.size;
    canvas.getContext("2d").putImageData(new ImageData(data.pixels, content.size), 0, 0);
    canvas.dataset.number = wish.number;
    if (canvas === $("face")) {
      say(`Face ${wish.number}`);
      $("time").textContent = `computed in ${Math.max(1, Math.round(data.ms))} ms`;
    }
  }
  next();
};
worker.onerror = (event) => { warn(`This browser cannot draw: ${event.message}`); };

/* A screen reader says what is new here; a slider's every step is not. */
function say(text) { if ($("status").textContent !== text) $("status").textContent = text; }
function warn(text) { $("warning").textContent = text; $("warning").hidden = false; }

const drawMain = () => ask($("face"), shown());

function drawFace() {
  drawMain();
  ask($("second"), alone(state.second));
  for (const [canvas, place, amount] of ends)
    ask(canvas, { ...alone(state.first), moved: state.moved.map((_, k) => (k === place ? amount : 0)) });
  for (const button of $("grid").children)
    button.setAttribute("aria-pressed", Number(button.dataset.number) === state.first);
}

function drawGrid() {
  state.grid.forEach((number, place) => {
    const button = $("grid").children[place];
    button.dataset.number = number;
    button.setAttribute("aria-label", `Look at face ${number}`);
    ask(button.firstChild, alone(number));
  });
}

function drawAll() { drawGrid(); drawFace(); }

// --- controls ----------------------------------------------------------------------------------------

function element(name, options = {}, ...children) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children);
  return made;
}

const sliders = [];

/* A labelled slider; `change` is told its value, `text` says it. */
function slider(id, label, [min, max, step, start], change, text) {
  const input = element("input", { type: "range", id, min, max, step, value: start });
  const output = element("output", { htmlFor: id });
  const tell = () => {
    output.textContent = text(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { tell(); change(Number(input.value)); });
  sliders.push({ input, set: (value) => { input.value = value; tell(); } });
  tell();
  return element("div", { className: "line" },
    element("label", { htmlFor: id, textContent: label }), input, output);
}

function button(id, text, act) {
  const made = element("button", { type: "button", id, textContent: text });
  made.addEventListener("click", act);
  return made;
}

function group(title, ...children) {
  $("controls").append(element("fieldset", {}, element("legend", { textContent: title }), ...children));
}

const setSlider = (id, value) => sliders.find(({ input }) => input.id === id).set(value);
const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(1);
const percent = (value) => `${value} %`;

if (words.length) {
  group("Ask for", ...words.map(([name, list], place) => {
    const choice = element("select", { id: `word-${place}` },
      element("option", { value: "", textContent: "any" }),
      ...list.map((word, i) => element("option", { value: i, textContent: word.replaceAll("_", " ") })));
    choice.addEventListener("change", () => {
      if (choice.value === "") delete state.words[name]; else state.words[name] = Number(choice.value);
      drawAll();
    });
    return element("div", { className: "line" },
      element("label", { htmlFor: choice.id, textContent: name.replaceAll("_", " ") }), choice);
  }));
}

if (content.mean) {
  group("Truncation", element("p", { className: "soft", textContent:
    "How far faces may be from the mean face: less is better drawn, more is more various." }),
  slider("truncation", "ψ", [0, 1.2, 0.05, state.truncation], (value) => {
    state.truncation = value;
    drawAll();
  }, (value) => value.toFixed(2)));
}

const ENDS = [-3, 3]; // standard deviations
const ends = []; // [canvas, direction, amount]: the face at either end of a slider, which says what it does

function direction(place) {
  const line = slider(`direction-${place}`, `Direction ${place + 1}`, [...ENDS, 0.1, 0],
    (value) => { state.moved[place] = value; drawMain(); }, signed);
  const [low, high] = ENDS.map((amount) => {
    const canvas = element("canvas", { ariaHidden: "true" });
    ends.push([canvas, place, amount]);
    return canvas;
  });
  line.classList.add("between");
  line.children[1].before(low);
  line.children[2].after(high);
  return line;
}

group("Change it",
  element("p", { className: "soft", textContent:
    "The directions in which faces differ most, from −3 to 3 standard deviations." }),
  ...state.moved.map((_, place) => direction(place)),
  element("div", { className: "row" }, button("reset", "Back to 0", () => {
    state.moved.fill(0);
    state.moved.forEach((_, place) => setSlider(`direction-${place}`, 0));
    drawMain();
  })));

group("Two faces",
  element("p", { className: "soft", textContent: "Morph: on the way to this second face." + (STYLED
    ? " Style mixing: that many of the finest layers take its style." : "") }),
  element("div", { className: "pair" },
    element("canvas", { id: "second", role: "img", ariaLabel: "The second face" }),
    element("div", { className: "row" },
      button("another", "Another second face", () => { state.second = newNumber(); drawFace(); }),
      button("swap", "Swap", () => {
        [state.first, state.second] = [state.second, state.first];
        drawFace();
      }))),
  slider("morph", "Morph", [0, 100, 1, 0],
    (value) => { state.morph = value / 100; drawMain(); }, percent),
  ...(STYLED ? [slider("layer", "Style mixing", [0, content.styles, 1, 0],
    (value) => { state.layer = content.styles - value; drawMain(); },
    (value) => `${value} / ${content.styles}`)] : []));

function look(number) {
  state.first = number;
  state.morph = 0;
  setSlider("morph", 0);
  drawFace();
}

$("new").addEventListener("click", () => look(newNumber()));
$("others").addEventListener("click", () => {
  state.grid = state.grid.map(newNumber);
  drawAll();
});
$("save").addEventListener("click", () => {
  const number = $("face").dataset.number;
  if (number) $("face").toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: `face-${number}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
});
for (let place = 0; place < 16; place++) {
  const made = button("", "", () => {
    look(Number(made.dataset.number));
    $("stage").scrollIntoView({ block: "nearest" });
  });
  made.append(element("canvas"));
  $("grid").append(made);
}
$("about").append(...content.about.map((text) => element("p", { textContent: text })));

const letters = atob($("weights").textContent);
const bytes = Uint8Array.from({ length: letters.length }, (_, i) => letters.charCodeAt(i)).buffer;
$("weights").remove();
worker.postMessage({ content, bytes }, [bytes]);
drawAll();
})();
