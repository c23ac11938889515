// A corpus -> its clips, one of them drawn, its words' times moved by hand; rejects by reason.
"use strict";

const corpusPanel = (held) => {
  const list = make("ol", { className: "clips" }), find = make("input", { type: "search", placeholder: "find a song or a singer" });
  const reasons = make("div"), shown = make("div", { className: "shown" });
  const show = () => {
    const wanted = find.value.toLowerCase();
    const some = held.clips.filter((clip) => `${clip.id} ${clip.singer || ""} ${clip.language}`.toLowerCase().includes(wanted));
    list.replaceChildren(...some.slice(0, 200).map((clip) => {
      const button = make("button", { type: "button", className: "clip" }, make("b", { textContent: clip.id }),
        ` ${clip.singer || "singer unknown"}, ${clip.language}, ${clip.duration_s.toFixed(1)} s, ${(100 * clip.singing_fraction).toFixed(0)} % sung`);
      button.addEventListener("click", () => {
        for (const other of list.querySelectorAll("button")) other.classList.toggle("on", other === button);
        openClip(clip, shown);
      });
      return make("li", {}, button);
    }));
  };
  find.addEventListener("input", show);
  show();
  for (const stage of held.stages) {
    for (const [reason, count] of Object.entries(stage.reasons)) {
      const rows = held.rejects.filter((row) => row.stage === stage.stage && row.reason === reason);
      reasons.append(make("details", {}, make("summary", { textContent: `${stage.stage}: ${count} ${reason}` }),
        make("ul", {}, ...rows.map((row) => make("li", { textContent: `${row.id}: ${row.measurement}` })))));
    }
  }
  if (!reasons.children.length) reasons.append(make("p", { className: "soft", textContent: "No row was rejected." }));
  return make("div", { className: "corpus" },
    make("div", {}, make("h2", { textContent: `${held.clips.length} clips` }), find, list, make("h2", { textContent: "Rejected" }), reasons), shown);
};

const openClip = async (clip, shown) => {
  shown.replaceChildren(make("p", { className: "soft", textContent: `drawing ${clip.id}` }));
  const at = `corpus/${clip.partition}/${encodeURIComponent(clip.id)}`;
  try {
    const drawn = await ask(at), figures = make("div");
    figures.innerHTML = drawn.html; // written by autosing itself, every text in it escaped
    follow(figures);
    const said = make("p", { className: "soft", role: "status", textContent: "Drag a word, or choose it and press ← or → (10 ms; with Shift 100 ms)." });
    const save = make("button", { type: "button", className: "save", textContent: "Save as LRC" });
    moveWords(figures.querySelector(".words"), drawn);
    save.addEventListener("click", async () => {
      try {
        const body = JSON.stringify({ starts_s: drawn.words.map((word) => word.start_s) });
        said.textContent = `written: ${(await ask(at, { method: "POST", body })).file}`;
      } catch (problem) { said.textContent = problem.message; }
    });
    if (drawn.words.length) figures.firstChild.append(make("div", { className: "saving" }, save, said));
    shown.replaceChildren(figures);
  } catch (problem) {
    shown.replaceChildren(make("p", { className: "error", textContent: problem.message }));
  }
};

const moveWords = (strip, drawn) => {
  if (!strip) return;
  [...strip.children].forEach((span, number) => {
    const word = drawn.words[number], words = drawn.words;
    const place = (seconds) => { // between its neighbours
      const low = number ? words[number - 1].start_s : 0, high = number + 1 < words.length ? words[number + 1].start_s : drawn.seconds;
      word.start_s = Math.min(Math.max(seconds, low), high);
      span.style.left = `${(100 * word.start_s) / drawn.seconds}%`;
      span.title = `${word.text} ${word.start_s.toFixed(2)} s`;
    };
    place(word.start_s);
    span.tabIndex = 0;
    span.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      place(word.start_s + step * (event.shiftKey ? 0.1 : 0.01));
    });
    span.addEventListener("pointerdown", (event) => {
      const box = strip.getBoundingClientRect(), begun = event.clientX, from = word.start_s;
      span.setPointerCapture(event.pointerId);
      const move = (now) => place(from + ((now.clientX - begun) / box.width) * drawn.seconds);
      span.addEventListener("pointermove", move);
      span.addEventListener("pointerup", () => span.removeEventListener("pointermove", move), { once: true });
    });
  });
};
