// Rewards that can be dragged, and what every rule makes of them. No formula lives here: for each reward and each
// value it can take, Python has sent the advantages; dragging looks them up, letting go tells Python the new rewards.

const GAP = 14, KNOB = 8, BELOW = 64;
const FLIPPED = 1, UNUSED = 2, REFUSED = 3;

function shown(value, digits = 2) {
  const size = Math.abs(value);
  if (size < 1e-9) return "0";
  const text = size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1)
    : size >= 0.005 ? value.toFixed(digits) : value.toExponential(0);
  return text.replaceAll("-", "−");
}

function short(value) {
  return String(Number(value.toFixed(4))).replaceAll("-", "−");
}

class View {
  constructor(host) {
    this.host = host;
    this.svg = element("svg", { role: "group", "aria-label": "Rewards and advantages of each rollout" }, host);
    this.observer = new ResizeObserver(() => this.data && this.width !== host.clientWidth && this.build());
    this.observer.observe(host);
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", (event) => this.up(event));
    this.svg.addEventListener("pointercancel", (event) => this.up(event));
  }

  // A new payload: what is being dragged or typed keeps its place, everything else is as Python says.
  receive(data, report) {
    this.report = report;
    this.data = data;
    this.advantage = new Float32Array(bytes(data.advantage));
    this.mark = new Uint8Array(bytes(data.mark));
    this.total = new Float32Array(bytes(data.total));
    this.mean = new Float32Array(bytes(data.mean));
    const held = this.held ?? this.typed;
    const kept = held !== undefined && held < data.rewards.length ? this.values[held] : undefined;
    this.values = [...data.rewards];
    if (kept !== undefined) this.values[held] = kept;
    this.selected = data.selected;
    tint(this.host, data.colors);
    const shape = JSON.stringify([data.shape, data.rules, data.components, data.low, data.high, data.ticks, data.scale]);
    if (shape !== this.shape || this.width !== this.host.clientWidth) {
      this.shape = shape;
      this.build();
    } else this.draw();
  }

  // ---- geometry
  build() {
    const { shape: [prompts, size], components, rules } = this.data;
    this.width = this.host.clientWidth;
    if (!this.width) return;
    this.left = this.width < 900 ? 128 : 176;
    this.right = this.width < 900 ? 66 : 84;
    this.step = (this.width - this.left - this.right - (prompts - 1) * 26) / (prompts * size);
    const focus = this.svg.querySelector(":focus")?.dataset.handle;
    this.svg.replaceChildren();
    this.columns = []; this.handles = []; this.bars = []; this.means = []; this.totals = []; this.notes = [];
    let y = 42;
    this.captions(prompts, size);
    const several = components.length > 1, top = y;
    const gap = several ? 36 : 22, rows = components.length + several;
    this.tall = several ? 104 : 150;
    this.high = rules.length > 5 ? 60 : 78;
    const fixed = y + rows * gap + rules.length * GAP + (this.width < 900 ? 48 : 28);
    const fit = Math.min(1, Math.max(0.5, (roomFor(this.host, BELOW) - fixed) / (rows * this.tall + rules.length * this.high)));
    this.tall *= fit;
    this.high *= fit;
    components.forEach((name, k) => { this.rewardRow(name, k, y); y += this.tall + gap; });
    if (several) { this.totalRow(y); y += this.tall + 22; }
    rules.forEach((rule, v) => { this.ruleRow(rule, v, y, v === 0); y += this.high + GAP; });
    this.columns.forEach((column) => set(column, { y: top - 24, height: y - top + 16 }));
    this.legend(y + 10);
    y += this.width < 900 ? 48 : 28;
    set(this.svg, { height: y, viewBox: `0 0 ${this.width} ${y}` });
    this.draw();
    if (focus !== undefined) this.handles[focus]?.group.focus();
  }

  x(prompt, rollout) {
    return this.left + prompt * (this.data.shape[1] * this.step + 26) + (rollout + 0.5) * this.step;
  }

  span(prompt) {
    const [, size] = this.data.shape;
    return [this.x(prompt, 0) - this.step / 2 + 3, this.x(prompt, size - 1) + this.step / 2 - 3];
  }

  captions(prompts, size) {
    for (let p = 0; p < prompts; p++) for (let g = 0; g < size; g++) {
      const at = { x: this.x(p, g) - this.step / 2 + 1, width: this.step - 2, rx: 5 };
      this.columns.push(element("rect", { ...at, class: "column", "data-column": p * size + g }, this.svg));
      const words = size * prompts > 20 || this.width < 900 ? `${g + 1}` : `rollout ${g + 1}`;
      element("text", { x: this.x(p, g), y: 12, "text-anchor": "middle", class: "muted small" }, this.svg, words);
    }
    const corner = prompts > 1 ? `${prompts} prompts, rollout` : this.width < 900 ? "rollout" : "";
    element("text", { x: 0, y: 12, class: "muted small" }, this.svg, corner);
  }

  heading(y, name, note, color) {
    const words = element("text", { x: 0, y: y + 16, class: "name" }, this.svg, name);
    if (color) words.style.fill = color;
    return element("text", { x: 0, y: y + 34, class: "muted small" }, this.svg, note);
  }

  axis(ticks, place) {
    const end = this.width - this.right;
    for (const tick of ticks) {
      const at = place(tick);
      element("line", { x1: this.left, x2: end, y1: at, y2: at, class: tick === 0 ? "zero" : "grid" }, this.svg);
      const label = { x: this.left - 6, y: at + 4, "text-anchor": "end", class: "muted small" };
      element("text", label, this.svg, short(tick));
    }
  }

  place(y, low, high) {
    return (value) => y + this.tall * (1 - (Math.min(Math.max(value, low), high) - low) / (high - low));
  }

  rewardRow(name, k, y) {
    const { shape: [prompts, size, count], ticks, low, high } = this.data;
    const place = this.place(y, low, high);
    this.heading(y, name, this.width < 900 ? "drag, or arrows" : "drag, or use arrow keys");
    this.axis(ticks, place);
    if (count === 1) this.levels(place);
    for (let p = 0; p < prompts; p++) for (let g = 0; g < size; g++) this.handle(p, g, k, name, place);
  }

  handle(p, g, k, name, place) {
    const { shape: [, size, count], low, high } = this.data;
    const index = (p * size + g) * count + k, x = this.x(p, g);
    const stem = element("line", { x1: x, x2: x, y1: place(0), class: "stem" }, this.svg);
    const group = element("g", {
      class: "handle", tabindex: 0, role: "slider", "aria-orientation": "vertical", "data-handle": index,
      "aria-label": `${name} of rollout ${g + 1}, prompt ${p + 1}`, "aria-valuemin": low, "aria-valuemax": high,
    }, this.svg);
    element("rect", { x: -Math.min(22, this.step / 2), y: -18, width: Math.min(44, this.step), height: 36, class: "hit" }, group);
    element("circle", { r: KNOB + 4, class: "ring" }, group);
    element("circle", { r: KNOB, class: "knob" }, group);
    const label = element("text", { y: -14, "text-anchor": "middle", class: "value" }, group);
    this.handles[index] = { group, stem, label, place, x, p, g };
  }

  levels(place) {
    const [prompts] = this.data.shape, end = this.width - this.right, y = place(this.data.truth);
    element("line", { x1: this.left, x2: end, y1: y, y2: y, class: "truth" }, this.svg);
    this.truthWords = element("text", { x: end + 6, y: y + 4, class: "small" }, this.svg, "true mean");
    for (let p = 0; p < prompts; p++) {
      const [x1, x2] = this.span(p);
      const line = element("line", { x1, x2, class: "mean" }, this.svg);
      const words = p === prompts - 1 ? element("text", { x: end + 6, class: "muted small" }, this.svg, "group mean") : null;
      this.means.push({ line, words, place, truth: y });
    }
  }

  totalRow(y) {
    const { shape: [prompts, size], totals: { low, high, ticks } } = this.data;
    const place = this.place(y, low, high);
    this.heading(y, "total reward", "rewards added");
    this.axis(ticks, place);
    this.levels(place);
    for (let p = 0; p < prompts; p++) for (let g = 0; g < size; g++) {
      const x = this.x(p, g), stem = element("line", { x1: x, x2: x, y1: place(0), class: "stem" }, this.svg);
      this.totals.push({ stem, knob: element("circle", { cx: x, r: 5, fill: "var(--muted)" }, this.svg), place });
    }
  }

  ruleRow(rule, v, y, first) {
    const { shape: [prompts, size], scale } = this.data;
    const half = this.high / 2, zero = y + half, end = this.width - this.right;
    this.notes[v] = this.heading(y + half - 24, rule.name, "", rule.color);
    for (const [at, words] of [[y, `+${scale}`], [zero, "0"], [y + this.high, `−${scale}`]]) {
      if (!first && at !== zero) continue;
      element("line", { x1: this.left, x2: end, y1: at, y2: at, class: at === zero ? "zero" : "grid" }, this.svg);
      element("text", { x: this.left - 6, y: at + 4, "text-anchor": "end", class: "muted small" }, this.svg, words);
    }
    if (first) element("text", { x: end + 6, y: zero + 4, class: "muted small" }, this.svg, "advantage");
    this.bars[v] = [];
    for (let i = 0; i < prompts * size; i++) {
      const x = this.x(Math.floor(i / size), i % size), width = Math.min(46, this.step * 0.62);
      const bar = element("rect", { x: x - width / 2, width, rx: 2, "pointer-events": "none" }, this.svg);
      const cut = element("path", { "pointer-events": "none" }, this.svg);
      const label = element("text", { x, "text-anchor": "middle", class: "small", "pointer-events": "none" }, this.svg);
      this.bars[v][i] = { bar, cut, label, x, width, zero, half, color: rule.color };
    }
  }

  legend(y) {
    const rows = [["flip", "✕ sign opposite to the true advantage"], ["muted", "dotted: left out of the update"],
                  ["muted", "arrow head: beyond the scale"], ["muted", "click a column to see its formula"]];
    let x = this.left, line = y;
    for (const [kind, words] of rows) {
      const made = element("text", { x, y: line, class: `small ${kind}` }, this.svg, words);
      made.style.fontWeight = 400;
      const length = made.getComputedTextLength();
      if (x + length > this.width && x > this.left) { x = this.left; line += 18; set(made, { x, y: line }); }
      x += length + 22;
    }
  }

  // ---- drawing: only numbers looked up in what Python sent
  scenario() {
    const moved = this.values.findIndex((value, i) => Math.abs(value - this.data.rewards[i]) > 1e-9);
    if (moved < 0) return 0;
    const others = this.values.some((value, i) => i > moved && Math.abs(value - this.data.rewards[i]) > 1e-9);
    if (others) return undefined;
    const { grid } = this.data;
    return 1 + moved * grid.length + this.nearest(this.values[moved]);
  }

  nearest(value) {
    const { grid } = this.data;
    return grid.reduce((best, each, i) => Math.abs(each - value) < Math.abs(grid[best] - value) ? i : best, 0);
  }

  draw() {
    if (!this.width) return;
    const { shape: [prompts, size] } = this.data, cells = prompts * size;
    this.handles.forEach((handle, i) => this.drawHandle(handle, this.values[i]));
    this.columns.forEach((column, i) => column.classList.toggle("chosen", i === this.selected));
    const scenario = this.scenario();
    this.svg.classList.toggle("waiting", scenario === undefined);
    if (scenario === undefined) return;
    this.scene = scenario;
    this.means.forEach(({ line, words, place, truth }, p) => {
      const y = place(this.mean[scenario * prompts + p]);
      set(line, { y1: y, y2: y });
      if (words) set(words, { y: Math.abs(y - truth) < 13 ? truth + (y < truth ? -9 : 17) : y + 4 });
    });
    this.totals.forEach(({ stem, knob, place }, i) => {
      const y = place(this.total[scenario * cells + i]);
      set(stem, { y2: y }); set(knob, { cy: y });
    });
    const scenes = this.advantage.length / this.bars.length / cells;
    this.bars.forEach((row, v) => this.drawRow(row, v, (v * scenes + scenario) * cells));
  }

  drawHandle({ group, stem, label, place, x }, value) {
    const y = place(value);
    set(group, { transform: `translate(${x} ${y})`, "aria-valuenow": value, "aria-valuetext": short(value) });
    set(stem, { y2: y });
    label.textContent = this.step < 26 ? "" : short(value);
  }

  drawRow(row, v, start) {
    let flips = 0, loud = false;
    const refused = this.mark[start] === REFUSED;
    row.forEach((bar, i) => {
      const value = this.advantage[start + i], mark = this.mark[start + i];
      flips += mark === FLIPPED;
      loud ||= Math.abs(value) > this.data.silent && mark !== UNUSED;
      this.drawBar(bar, value, mark);
    });
    const note = this.notes[v];
    note.textContent = refused ? "refuses such rewards" : flips ? `${flips} of ${row.length} wrong sign` : loud ? "no wrong sign" : "no signal at all";
    note.setAttribute("class", flips ? "small flip" : "small muted");
  }

  drawBar({ bar, cut, label, x, width, zero, half, color }, value, mark) {
    if (mark === REFUSED) {
      set(bar, { height: 0, "stroke-width": 0 }); set(cut, { d: "" });
      label.textContent = "";
      return;
    }
    const share = value / this.data.scale, inside = Math.min(Math.max(share, -1), 1);
    const up = value >= 0, length = Math.max(Math.abs(inside) * (half - 1), Math.abs(value) > this.data.silent ? 1.5 : 0);
    const flipped = mark === FLIPPED, unused = mark === UNUSED;
    const paint = flipped ? "var(--flip)" : color;
    set(bar, {
      y: up ? zero - length : zero, height: length, stroke: paint, fill: paint,
      "fill-opacity": unused ? 0 : flipped ? 0.22 : 0.85, "stroke-width": flipped || unused ? 1.5 : 0,
      "stroke-dasharray": unused ? "2 2" : "none",
    });
    const tip = up ? zero - half : zero + half, way = up ? -1 : 1;
    const beyond = `M${x - width / 2 - 3} ${tip} L${x} ${tip + way * 8} L${x + width / 2 + 3} ${tip} Z`;
    set(cut, { d: Math.abs(share) > 1.0001 ? beyond : "", fill: paint });
    const words = this.step < 30 ? "" : !unused ? shown(value) : this.step < 52 ? "out" : "left out";
    label.textContent = flipped ? `✕ ${words}` : words;
    label.setAttribute("class", flipped ? "small flip" : Math.abs(value) > this.data.silent && !unused ? "small" : "small muted");
    const outside = length < half - 14;
    const y = outside ? (up ? zero - length - 4 : zero + length + 13) : up ? zero + 14 : zero - 5;
    set(label, { y });
  }

  // ---- gestures
  down(event) {
    const at = event.target.closest("[data-handle], [data-column]");
    if (!at) return;
    const [, size, count] = this.data.shape;
    if (at.dataset.handle !== undefined) {
      this.held = Number(at.dataset.handle);
      this.moved = false;
      this.start = event.clientY;
      this.svg.setPointerCapture(event.pointerId);
      this.handles[this.held].group.focus({ preventScroll: true });
      event.preventDefault();
    }
    this.selected = at.dataset.column !== undefined ? Number(at.dataset.column) : Math.floor(this.held / count);
    this.draw();
    if (at.dataset.column !== undefined) this.tell();
  }

  move(event) {
    if (this.held === undefined) return;
    if (!this.moved && Math.abs(event.clientY - this.start) < 3) return;
    this.moved = true;
    const { low, high, grid } = this.data, box = this.svg.getBoundingClientRect();
    const place = this.handles[this.held].place, bottom = place(low), top = place(high);
    const share = (bottom - (event.clientY - box.top)) / (bottom - top);
    this.values[this.held] = grid[this.nearest(low + share * (high - low))];
    this.draw();
  }

  up() {
    if (this.held === undefined) return;
    this.held = undefined;
    this.tell();
  }

  key(event) {
    const at = event.target.closest("[data-handle]");
    if (!at) return;
    const { grid, shape: [, , count] } = this.data, index = Number(at.dataset.handle);
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    const ends = { Home: 0, End: grid.length - 1 }[event.key];
    if (steps === undefined && ends === undefined) return;
    event.preventDefault();
    const next = ends ?? Math.min(Math.max(this.nearest(this.values[index]) + steps, 0), grid.length - 1);
    this.values[index] = grid[next];
    this.selected = Math.floor(index / count);
    this.typed = index;
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), 250);
  }

  tell() {
    clearTimeout(this.timer);
    this.typed = undefined;
    this.report({ rewards: this.values, selected: this.selected });
  }
}
