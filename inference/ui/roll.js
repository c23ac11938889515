// Notes drawn by hand -> a score (the JSON of autosing.score), put into a form's field as if its file had been chosen.
"use strict";

const ROLL = { lowest: 45, highest: 84, row: 11, part: 13, parts: 4, beats: 16, edge: 6 };
// parts: of a beat, which notes lie on; row, part and edge in pixels.

const NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const nameOf = (midi) => `${NAMES[midi % 12]}${Math.floor(midi / 12) - 1}`;

const drawn = (tag, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// Sorted; no two at once: the one that was touched last stays whole, others give way.
const oneVoice = (notes, touched) => {
  const kept = notes.filter((note) => note === touched || note.at !== touched?.at).sort((a, b) => a.at - b.at);
  kept.forEach((note, k) => {
    if (k + 1 < kept.length) note.long = Math.min(note.long, kept[k + 1].at - note.at);
  });
  return kept;
};

const scoreOf = (notes, bpm) => {
  const part_s = 60 / bpm / ROLL.parts, last = Math.max(...notes.map((note) => note.at + note.long));
  return {
    duration_s: (last + ROLL.parts) * part_s,
    tempo: { tempos: [{ beat: 0, bpm }] },
    notes: notes.map((note) => ({ start_s: note.at * part_s, end_s: (note.at + note.long) * part_s, midi: note.midi })),
  };
};

const pianoRoll = (input) => {
  let notes = [], usual = ROLL.parts, playing = null;
  const tempo = make("input", { type: "number", value: 100, min: 20, max: 400, ariaLabel: "Beats a minute" });
  const told = make("span", { className: "hint" }), play = make("button", { type: "button", textContent: "Listen" });
  const clear = make("button", { type: "button", textContent: "Clear" });
  const svg = drawn("svg", { class: "roll", role: "group", "aria-label": "Notes" });
  const beats = () => Math.max(ROLL.beats, Math.ceil(Math.max(0, ...notes.map((note) => note.at + note.long)) / ROLL.parts) + 4);
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    const midi = ROLL.highest - Math.floor((event.clientY - box.top) / ROLL.row);
    return { at: Math.max(0, Math.floor((event.clientX - box.left) / ROLL.part)), midi: held(midi) };
  };
  const bpm = () => Number(tempo.value) || 100;
  const held = (midi) => Math.min(ROLL.highest, Math.max(ROLL.lowest, midi));

  const keep = (touched) => {
    notes = oneVoice(notes, touched);
    const words = input.form?.elements.lyrics, before = words?.value, files = new DataTransfer();
    if (notes.length) {
      const text = JSON.stringify(scoreOf(notes, bpm()));
      files.items.add(new File([text], "drawn.json", { type: "application/json" }));
    }
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (words) words.value = before; // notes that are drawn have no words of their own
    draw(touched);
  };

  const noteOf = (note) => {
    const box = drawn("rect", {
      class: "note", x: note.at * ROLL.part, y: (ROLL.highest - note.midi) * ROLL.row, width: note.long * ROLL.part - 1,
      height: ROLL.row - 1, rx: 2, tabindex: 0, role: "button",
      "aria-label": `${nameOf(note.midi)}, beat ${note.at / ROLL.parts + 1}, ${note.long / ROLL.parts} long`,
    });
    const change = (at, long, midi) => {
      Object.assign(note, { at: Math.max(0, at), long: Math.max(1, long), midi: held(midi) });
      usual = note.long;
      keep(note);
    };
    box.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      const from = place(event), first = { ...note };
      const resizes = event.clientX > box.getBoundingClientRect().right - ROLL.edge;
      drag((to) => {
        if (resizes) change(first.at, to.at + 1 - first.at, first.midi);
        else change(first.at + to.at - from.at, first.long, first.midi + to.midi - from.midi);
      });
    });
    box.addEventListener("dblclick", () => remove(note));
    box.addEventListener("keydown", (event) => {
      const { at, long, midi } = note;
      const moves = {
        ArrowLeft: event.shiftKey ? [at, long - 1, midi] : [at - 1, long, midi],
        ArrowRight: event.shiftKey ? [at, long + 1, midi] : [at + 1, long, midi],
        ArrowUp: [at, long, midi + 1], ArrowDown: [at, long, midi - 1],
      };
      if (event.key === "Delete" || event.key === "Backspace") remove(note);
      else if (moves[event.key]) change(...moves[event.key]);
      else return;
      event.preventDefault();
    });
    return box;
  };

  const remove = (note) => {
    notes = notes.filter((one) => one !== note);
    keep(null);
  };

  const drag = (moved) => {
    const move = (event) => moved(place(event));
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  };

  const draw = (focused) => {
    const wide = beats() * ROLL.parts * ROLL.part, rows = ROLL.highest - ROLL.lowest + 1, tall = rows * ROLL.row;
    svg.setAttribute("width", wide);
    svg.setAttribute("height", tall);
    const grid = [];
    for (let k = 0; k < rows; k++) {
      const midi = ROLL.highest - k, black = NAMES[midi % 12].endsWith("#");
      if (black) grid.push(drawn("rect", { class: "black", x: 0, y: k * ROLL.row, width: wide, height: ROLL.row }));
      if (midi % 12 === 0) grid.push(drawn("text", { x: 3, y: (k + 1) * ROLL.row - 2 }, nameOf(midi)));
    }
    for (let beat = 0; beat <= beats(); beat++) {
      const x = beat * ROLL.parts * ROLL.part;
      grid.push(drawn("line", { class: beat % 4 ? "beat" : "bar", x1: x, x2: x, y1: 0, y2: tall }));
    }
    const boxes = notes.map(noteOf);
    svg.replaceChildren(...grid, ...boxes);
    if (focused) boxes[notes.indexOf(focused)]?.focus({ preventScroll: true });
    told.textContent = notes.length
      ? `${notes.length} notes, a syllable of the words each. Drag to move, the right edge to lengthen; double-click or Delete takes one away.`
      : "Click where a note shall be.";
  };

  svg.addEventListener("pointerdown", (event) => {
    const from = place(event), note = { ...from, long: usual };
    const behind = notes.find((one) => one.at <= from.at && from.at < one.at + one.long);
    if (behind && behind.at < from.at) behind.long = from.at - behind.at;
    notes.push(note);
    keep(note);
    drag((to) => {
      note.long = Math.max(1, to.at + 1 - note.at);
      usual = note.long;
      keep(note);
    });
  });
  tempo.addEventListener("change", (event) => {
    event.stopPropagation();
    if (notes.length) keep(null);
  });
  clear.addEventListener("click", () => {
    notes = [];
    keep(null);
  });
  input.addEventListener("change", () => {
    if (input.files.length && input.files[0].name !== "drawn.json" && notes.length) {
      notes = []; // a file was chosen instead
      draw(null);
    }
  });
  play.addEventListener("click", () => {
    playing?.close();
    const sound = (playing = new AudioContext());
    for (const note of scoreOf(notes.length ? notes : [{ at: 0, long: 1, midi: 60 }], bpm()).notes) {
      const tone = new OscillatorNode(sound, { type: "triangle", frequency: 440 * 2 ** ((note.midi - 69) / 12) });
      const level = new GainNode(sound, { gain: 0.2 });
      tone.connect(level).connect(sound.destination);
      tone.start(note.start_s);
      level.gain.setTargetAtTime(0, Math.max(note.start_s, note.end_s - 0.03), 0.01);
      tone.stop(note.end_s + 0.05);
    }
  });
  draw(null);
  const head = make("div", { className: "rollhead" }, make("label", {}, "Tempo ", tempo), play, clear);
  const view = make("div", { className: "rollview" }, svg);
  const folded = make("details", { className: "pianoroll" }, make("summary", { textContent: "Draw the notes" }), head, view, told);
  folded.addEventListener("toggle", () => (view.scrollTop = 12 * ROLL.row)); // to the middle of a voice's range
  return folded;
};
