// The forms that the program describes -> fields; what is filled in -> jobs; jobs -> players and links.
"use strict";

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const ask = async (path, options) => {
  const answer = await fetch(path, options);
  const said = await answer.json().catch(() => ({ error: answer.statusText }));
  if (!answer.ok) throw new Error(said.error || answer.statusText);
  return said;
};
const here = { models: {}, shown: new Map() };

// -- fields ---------------------------------------------------------------------------------------------------------

const fieldOf = (field, form) => {
  const name = field.name, id = `${form.dataset.form}-${name}`;
  const hint = make("span", { className: "hint", textContent: field.hint });
  let input;
  if (field.kind === "flag") {
    input = make("input", { type: "checkbox", id, name, value: "on", checked: field.default === "on" });
    return make("div", { className: "field flag" }, make("label", {}, input, field.label), hint);
  }
  if (field.kind === "lines" || field.kind === "words") input = make("textarea", { value: field.default });
  else if (field.kind === "number") input = make("input", { type: "number", step: "any", value: field.default });
  else if (field.kind === "choice") input = make("select", {}, ...field.choices.map((one) => new Option(one, one)));
  else if (field.kind === "singer") input = make("select", {}, new Option(field.example, ""));
  else if (field.kind === "model") input = modelField(field, form, hint);
  else if (["sound", "sounds", "score"].includes(field.kind)) input = make("input", { type: "file" });
  else input = make("input", { type: "text", autocomplete: "off" });
  if (["text", "lines", "words"].includes(field.kind)) input.placeholder = field.example;
  Object.assign(input, { id, name, required: field.needed });
  if (input.type === "file") {
    input.accept = field.kind === "score" ? field.choices.join(",") : "audio/*,video/webm";
    input.multiple = field.kind === "sounds";
  }
  const label = make("label", { htmlFor: id, textContent: field.label });
  if (!field.needed && !["number", "choice"].includes(field.kind)) label.append(make("small", { textContent: " optional" }));
  const box = make("div", { className: "field" }, label, input, hint);
  if (field.kind === "sound" || field.kind === "sounds") label.after(recorder(input));
  if (field.kind === "score") hint.after(pianoRoll(input));
  return box;
};

const modelField = (field, form, hint) => {
  const known = field.choices.flatMap((kind) => here.models[kind] || []);
  const input = make("select", {}, ...known.map((one) => new Option(one, one)));
  if (!field.needed && !field.default) input.prepend(new Option(field.example, "")), (input.value = "");
  if (known.includes(field.default)) input.value = field.default;
  if (!known.length && field.needed) {
    hint.classList.add("bad");
    hint.textContent = `There is no model of ${field.choices.join(" or ")} yet` +
      `${field.default ? ` (${field.default} does not come with this version)` : ""}: ` +
      `train one with 'autosing train ${field.choices[0]}', into the folder of --runs.`;
  }
  input.addEventListener("change", () => fillSingers(form));
  return input;
};

const fillSingers = async (form) => {
  const select = form.querySelector("select[name=singer]");
  if (!select) return;
  const model = form.elements[form.dataset.voicesOf]?.value || "", held = select.value;
  const voices = await ask(`singers?model=${encodeURIComponent(model)}`).catch(() => []);
  select.replaceChildren(select.options[0]);
  for (const from of new Set(voices.map((voice) => voice.from))) {
    const group = make("optgroup", { label: from });
    for (const voice of voices.filter((one) => one.from === from)) {
      group.append(new Option(voice.range_hz ? `${voice.name}  ${voice.range_hz} Hz` : voice.name, voice.name));
    }
    select.append(group);
  }
  select.value = voices.some((voice) => voice.name === held) ? held : "";
};

const recorder = (input) => {
  const button = make("button", { type: "button", textContent: "Record" }), heard = make("span");
  const box = make("div", {}, make("div", { className: "record" }, input, button), heard);
  let running = null;
  button.addEventListener("click", async () => {
    if (running) return running.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, autoGainControl: false, noiseSuppression: false } });
    } catch (error) {
      heard.replaceChildren(make("span", { className: "error", textContent: `No microphone: ${error.message}` }));
      return;
    }
    const pieces = [];
    running = new MediaRecorder(stream);
    running.addEventListener("dataavailable", (event) => pieces.push(event.data));
    running.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      const ending = running.mimeType.includes("ogg") ? "ogg" : running.mimeType.includes("mp4") ? "m4a" : "webm";
      const held = new DataTransfer();
      if (input.multiple) for (const file of input.files) held.items.add(file);
      held.items.add(new File(pieces, `microphone.${ending}`, { type: running.mimeType }));
      input.files = held.files;
      running = null;
      button.textContent = "Record again";
      button.classList.remove("on");
      heard.replaceChildren(make("audio", { controls: true, src: URL.createObjectURL(new Blob(pieces)) }));
      input.dispatchEvent(new Event("change", { bubbles: true }));
    });
    running.start();
    button.textContent = "Stop";
    button.classList.add("on");
  });
  return box;
};

// -- forms ----------------------------------------------------------------------------------------------------------

const formOf = (described) => {
  const form = make("form");
  form.dataset.form = described.name;
  form.dataset.voicesOf = described.voices_of;
  const more = make("details", {}, make("summary", { textContent: "More" }));
  form.append(make("p", { className: "soft", textContent: described.about }));
  for (const field of described.fields) (field.more ? more : form).append(fieldOf(field, form));
  if (more.children.length > 1) form.append(more);
  const button = make("button", { type: "submit", textContent: described.action });
  const error = make("p", { className: "error", role: "alert", hidden: true });
  form.append(button, error);
  form.addEventListener("change", (event) => {
    for (const field of described.fields.filter((one) => one.yields && one.yields === event.target.name)) {
      const input = form.elements[field.name];
      if (field.kind === "flag") input.checked = false;
      else if (input.value === field.default) input.value = "";
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    try {
      await ask(`jobs/${described.name}`, { method: "POST", body: new FormData(form) });
      await refresh();
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
    }
    button.disabled = false;
  });
  fillSingers(form);
  return form;
};

const showVoices = async () => {
  const box = document.querySelector(".voices");
  if (!box) return;
  const voices = await ask("singers");
  const cell = (text) => make("td", { textContent: text });
  const rows = voices.map((voice) => make("tr", {}, ...[voice.name, `${voice.seconds} s`, voice.range_hz, voice.consent || "not recorded"].map(cell)));
  const heads = ["name", "heard", "range, Hz", "consent"].map((text) => make("th", { textContent: text }));
  box.replaceChildren(make("h2", { textContent: "Enrolled" }));
  if (!rows.length) box.append(make("p", { className: "soft", textContent: "None yet." }));
  else box.append(make("div", { className: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))));
};

const addTab = (name, wide, ...children) => {
  const tabs = document.getElementById("tabs"), panels = document.getElementById("panels");
  const panel = make("div", { role: "tabpanel", hidden: true, ariaLabel: name }, ...children);
  const tab = make("button", { type: "button", role: "tab", textContent: name });
  tab.addEventListener("click", () => {
    for (const other of panels.children) other.hidden = other !== panel;
    for (const other of tabs.children) other.setAttribute("aria-selected", other === tab);
    document.querySelector(".desk").classList.toggle("wide", wide);
  });
  tabs.append(tab);
  panels.append(panel);
};

const start = async () => {
  here.models = await ask("models");
  const { forms } = await ask("forms");
  here.forms = new Map(forms.map((form) => [form.name, form]));
  for (const name of new Set(forms.map((form) => form.tab))) {
    const own = forms.filter((form) => form.tab === name).map(formOf);
    addTab(name, false, ...own, ...(own[0].dataset.form === "enrol" ? [make("div", { className: "voices" })] : []));
  }
  document.querySelector("#tabs button").click();
  showVoices();
  const corpus = await ask("corpus").catch((problem) => ({ error: problem.message }));
  if (corpus?.error) addTab("Corpus", true, make("p", { className: "error", textContent: corpus.error }));
  else if (corpus) addTab("Corpus", true, corpusPanel(corpus));
  watch();
};

// -- jobs -----------------------------------------------------------------------------------------------------------

const WORDS = { waiting: "waits", running: "at work", done: "done", failed: "failed", cancelled: "cancelled" };

const jobOf = (job) => {
  const form = here.forms.get(job.form), item = make("li", { className: job.state, id: `job-${job.number}` });
  const state = make("span", { className: "state", textContent: WORDS[job.state] });
  const head = make("div", { className: "head" }, make("b", { textContent: `${job.number} ${form.action}` }),
    make("span", { className: "about", textContent: job.about, title: job.about }), state);
  item.append(head);
  if (job.state === "waiting" || job.state === "running") {
    const cancel = make("button", { type: "button", textContent: "Cancel" });
    cancel.addEventListener("click", async () => { cancel.disabled = true; await ask(`jobs/${job.number}`, { method: "DELETE" }); refresh(); });
    head.append(cancel);
  }
  if (job.state === "running") item.append(make("div", { className: "bar" }), make("p", { className: "said" }));
  if (job.state === "failed") item.append(make("p", { className: "error", textContent: job.error }));
  if (job.state === "done") finished(item, job);
  return item;
};

const finished = (item, job) => {
  const at = (name) => `jobs/${job.number}/${encodeURIComponent(name)}`;
  const [row] = job.rows;
  if (row?.remarks) item.append(make("p", { className: "said", textContent: row.remarks }));
  if (job.picture) {
    const figures = make("div");
    item.append(figures);
    fetch(at("picture.html")).then((answer) => answer.text()).then((text) => {
      figures.innerHTML = text; // written by autosing itself, every text in it escaped
      follow(figures);
    });
  }
  const links = job.files.map((name) => make("a", { href: at(name), download: name, textContent: name }));
  if (links.length) item.append(make("div", { className: "files" }, ...links));
  if (!job.files.length && row) item.append(make("p", { className: "said", textContent: Object.entries(row).map(([key, value]) => `${key} ${value}`).join(", ") }));
  item.append(make("details", {}, make("summary", { textContent: "as a command" }), make("code", { textContent: job.command })));
};

const refresh = async () => {
  const jobs = await ask("jobs"), list = document.getElementById("jobs");
  document.getElementById("none").hidden = jobs.length > 0;
  for (const job of jobs) {
    const old = document.getElementById(`job-${job.number}`);
    if (here.shown.get(job.number) !== job.state) {
      const item = jobOf(job);
      if (old) old.replaceWith(item);
      else list.prepend(item);
      if (job.state === "done" && !job.files.length) { // a voice
        showVoices();
        for (const form of document.forms) fillSingers(form);
      }
      here.shown.set(job.number, job.state);
    }
    if (job.state === "running") {
      const item = document.getElementById(`job-${job.number}`);
      item.querySelector(".state").textContent = `at work, ${job.seconds.toFixed(0)} s`;
      item.querySelector(".said").textContent = job.said;
    }
  }
  return jobs.some((job) => job.state === "running" || job.state === "waiting");
};

const watch = async () => {
  try {
    const busy = await refresh();
    document.getElementById("gone").hidden = true;
    setTimeout(watch, busy ? 500 : 2000);
  } catch {
    document.getElementById("gone").hidden = false;
    setTimeout(watch, 5000);
  }
};

start();
