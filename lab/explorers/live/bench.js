// Two rewards on one map, everything on the way between them, and what each distance says of it. No formula lives
// here: for every step of the way Python has sent the rewards, the best actions, regret and distances; walking looks
// them up. Dragging a cell shows its number; letting go tells Python, which sends all of it anew.

const PER_UNIT = 60, KNOB = 9;
// Heights in pixels, and the least that can still be read; what stands below the picture in the window.
const ROW = 27, LEAST_ROW = 19, CHART = 310, LEAST_CHART = 210, LEAST_MAP = 150, LEAST_CELL = 30, TITLE = 19, NOTE = 17, BELOW = 76;

function short(value, digits = 2) {
  const text = String(Number(value.toFixed(digits)));
  return (text === "-0" ? "0" : text).replaceAll("-", "−");
}

function percent(value) {
  const size = 100 * value;
  return size < 0.05 ? "0%" : size < 9.95 ? `${size.toFixed(1)}%` : `${size.toFixed(0)}%`;
}

class View {
  constructor(host) {
    this.host = host;
    this.svg = element("svg", { role: "group", "aria-label": "Two rewards, and what distances say of them" }, host);
    const resized = () => this.data && (this.width !== host.clientWidth || this.moved()) && this.build();
    this.observer = new ResizeObserver(resized);
    this.observer.observe(host);
    addEventListener("resize", resized);
    for (const [name, act] of Object.entries({
      keydown: "key", pointerdown: "down", pointermove: "move", pointerup: "up", pointercancel: "up", dblclick: "zero",
    })) this.svg.addEventListener(name, (event) => this[act](event));
  }

  // A new payload: what is being dragged keeps its place, everything else is as Python says.
  receive(data, report) {
    this.report = report;
    this.data = data;
    this.best = new Uint8Array(bytes(data.best));
    this.apart = new Uint8Array(bytes(data.apart));
    this.pays = new Float32Array(bytes(data.pays));
    const held = this.held ?? this.typed;
    const kept = held?.cell !== undefined ? this.values[held.cell] : undefined;
    this.values = [...data.reward];
    if (kept !== undefined && held.cell < this.values.length) this.values[held.cell] = kept;
    if (!held?.walk) this.at = data.at;
    tint(this.host, data.colors);
    this.build();
    requestAnimationFrame(() => this.moved() && this.build());
  }

  // ---- geometry
  moved() {
    return roomMoved(this.host, BELOW, this.room);
  }

  // The largest sizes with which all of it, legend included, ends above the window's lower edge.
  sizes() {
    for (let scale = this.room < Infinity ? 1.3 : 1; ; scale -= 0.02) {
      const sizes = this.scaled(scale);
      if (sizes.height <= this.room || scale < 0.4) return sizes;
    }
  }

  scaled(scale) {
    const { map, rows, words } = this.data, grid = map.kind === "grid", wide = this.width >= 1000, gap = wide ? 44 : 28;
    const most = Math.min(wide ? (this.width - 2 * gap) * 0.27 : (this.width - gap) / 2, 400);
    const side = Math.min(most, Math.max(most * scale, LEAST_MAP, LEAST_CELL * map.columns * (map.rows > 1)));
    const tall = grid ? Math.max(side * map.rows / map.columns, 90) : side;
    const room = wide ? most : side, title = [words.first, words.second].map((text) => this.wrap(text, room, "650 15px").length);
    const note = [words.edit, this.data.place < 0 ? words.red : words.place].map((text) => this.wrap(text, room).length);
    const head = TITLE * Math.max(...title) + NOTE * Math.max(...note) + 10;
    const row = Math.min(Math.max(ROW * scale, LEAST_ROW), 32), chart = Math.max(CHART * scale, LEAST_CHART);
    const columns = this.width >= 620, notes = columns ? words.legend : words.legend.slice(0, 1);
    const lines = notes.flatMap((text) => this.wrap(text, this.width));
    const below = (wide ? Math.max(head + tall, chart) : head + tall + 22 + chart) + 34;
    const height = below + 22 + row * rows.length + NOTE * lines.length + 4;
    return { wide, gap, side, room, tall, head, row, chart, columns, lines, below, height };
  }

  // The lines into which a text has to be broken.
  wrap(text, width, font = "12px") {
    View.ink ??= document.createElement("canvas").getContext("2d");
    View.ink.font = `${font} ${getComputedStyle(this.host).fontFamily}`;
    const lines = [];
    for (const word of text.split(" ")) {
      const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
      if (lines.length && View.ink.measureText(longer).width <= width) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  }

  build() {
    this.width = this.host.clientWidth;
    if (!this.width) return;
    this.room = roomFor(this.host, BELOW);
    const focus = this.svg.querySelector(":focus")?.dataset.focus, sizes = this.sizes();
    const { wide, gap, side, room, tall, head, chart, below, height } = sizes;
    this.size = sizes;
    this.svg.replaceChildren();
    this.cell = side / this.data.map.columns;
    this.radius = Math.min(21, side / 10);
    this.first = this.map(0, side, true);
    this.second = this.map((wide ? room : side) + gap, side, false);
    this.dim = element("g", { class: "later" }, this.svg);
    if (wide) this.chart(2 * (room + gap), 0, this.width - 2 * (room + gap), Math.max(head + tall, chart));
    else this.chart(0, head + tall + 22, this.width, chart);
    this.table(below);
    set(this.svg, { height, viewBox: `0 0 ${this.width} ${height}` });
    this.draw();
    if (focus !== undefined) this.svg.querySelector(`[data-focus="${focus}"]`)?.focus({ preventScroll: true });
  }

  map(left, side, own) {
    const { map, reward, words } = this.data, group = element("g", own ? {} : { class: "later" }, this.svg);
    const { head, room } = this.size, note = own ? words.edit : this.data.place < 0 ? words.red : words.place;
    let y = -5;
    for (const line of this.wrap(own ? words.first : words.second, room, "650 15px"))
      element("text", { x: left, y: y += TITLE, class: "name" }, group, line);
    for (const line of this.wrap(note, room)) element("text", { x: left, y: y += NOTE, class: "muted small" }, group, line);
    const place = map.kind === "grid"
      ? (s) => [left + (map.x[s] + 0.5) * this.cell, head + (map.y[s] + 0.5) * this.cell]
      : (s) => [left + side * (0.5 + 0.4 * map.x[s]), head + side * (0.5 + 0.4 * map.y[s])];
    if (map.kind === "graph") for (const [s, t, p] of map.edges) if (s !== t)
      element("path", { d: this.arc(place(s), place(t)), class: "edge", "stroke-opacity": 0.15 + 0.6 * p }, group);
    const arrows = element("g", { class: "arrows" }, group);
    const cells = reward.map((_, s) => this.box(s, place(s), group, own));
    if (map.kind === "grid") group.appendChild(arrows);
    return { group, place, cells, arrows };
  }

  box(s, [x, y], parent, own) {
    const grid = this.data.map.kind === "grid", half = grid ? this.cell / 2 - 1.5 : this.radius;
    const attributes = own
      ? { class: "own cell", tabindex: 0, role: "slider", "data-cell": s, "data-focus": `c${s}`,
          "aria-label": `reward of state ${s}`, "aria-valuemin": this.data.low, "aria-valuemax": this.data.high }
      : { class: "cell", "data-place": s, "data-focus": `p${s}`, tabindex: 0, role: "button", "aria-label": `choose state ${s}` };
    const group = element("g", attributes, parent);
    const shape = grid
      ? element("rect", { x: x - half, y: y - half, width: 2 * half, height: 2 * half, rx: 4 }, group)
      : element("circle", { cx: x, cy: y, r: half }, group);
    const label = element("text", { x, y: grid ? y - half + Math.min(16, half * 0.62) : y + 4.5, "text-anchor": "middle" }, group);
    if (grid && this.cell < 42) label.style.fontSize = "11px";
    if (!own && s === this.data.place) shape.classList.add("chosen");
    return { group, shape, label };
  }

  // A curve between two nodes, bent to its right, ending before the node.
  arc([x0, y0], [x1, y1]) {
    const free = this.radius + 3, dx = x1 - x0, dy = y1 - y0, length = Math.hypot(dx, dy), bend = 0.16;
    const [mx, my] = [(x0 + x1) / 2 - dy * bend, (y0 + y1) / 2 + dx * bend];
    const reach = (x, y) => { const d = Math.hypot(mx - x, my - y); return [x + (mx - x) * free / d, y + (my - y) * free / d]; };
    if (!length) return "";
    const [[ax, ay], [bx, by]] = [reach(x0, y0), reach(x1, y1)];
    return `M${ax} ${ay} Q${mx} ${my} ${bx} ${by}`;
  }

  chart(left, top, width, tall) {
    const { rows, losses, words, share } = this.data, axis = 44, high = (tall - 110) / 2;
    const x0 = left + axis, x1 = left + width - 12;
    this.x = (k) => x0 + (x1 - x0) * share[k];
    this.walkEnds = [x0, x1];
    const panels = [[top + 28, rows, words.distance], [top + 28 + high + 44, losses, ""]];
    this.dots = [];
    panels.forEach(([y, lines, title], k) => {
      const place = (value) => y + high * (1 - Math.min(Math.max(value, 0), 1));
      const heading = element("text", { x: left, y: y - 14, class: "small strong" }, this.dim, title);
      if (k) this.loss = heading;
      else element("text", { x: x1, y: y - 14, "text-anchor": "end", class: "muted small" }, this.dim, words.drag);
      for (const [tick, text] of [[0, k ? "0%" : "0"], [0.5, k ? "50%" : "½"], [1, k ? "100%" : "1"]]) {
        element("line", { x1: x0, x2: x1, y1: place(tick), y2: place(tick), class: tick ? "grid" : "zero" }, this.dim);
        element("text", { x: x0 - 7, y: place(tick) + 4, "text-anchor": "end", class: "muted small" }, this.dim, text);
      }
      for (const line of lines) {
        const d = line.drawn.map((value, i) => `${i ? "L" : "M"}${this.x(i)} ${place(value)}`).join(" ");
        element("path", { d, class: "line", stroke: line.color, "stroke-dasharray": line.dash ?? "none" }, this.dim);
        const dot = element("circle", { r: 4, fill: line.color, class: "dot" }, this.dim);
        this.dots.push({ dot, line, place });
      }
    });
    const base = panels[1][0] + high;
    for (const [i, text] of [[0, words.start], [share.length - 1, words.end]])
      element("text", { x: this.x(i), y: base + 34, "text-anchor": i ? "end" : "start", class: "muted small" }, this.dim, text);
    this.rule = element("line", { y1: top + 24, y2: base + 10, class: "rule" }, this.svg);
    element("rect", { x: x0 - 8, width: x1 - x0 + 16, y: top + 20, height: base - top + 22, class: "hit", "data-walk": 1 }, this.svg);
    this.knob = element("g", {
      class: "walk", tabindex: 0, role: "slider", "data-walk": 1, "data-focus": "walk", "aria-label": words.walk,
      "aria-valuemin": 0, "aria-valuemax": 1,
    }, this.svg);
    element("circle", { r: KNOB + 4, class: "ring", cy: base + 10 }, this.knob);
    element("circle", { r: KNOB, class: "knob", cy: base + 10 }, this.knob);
    this.share = element("text", { y: base + 34, "text-anchor": "middle", class: "small strong" }, this.svg);
  }

  table(top) {
    const { rows, words, made } = this.data, { row: high, columns, lines, below } = this.size, narrow = this.width < 1000;
    const sees = columns ? [...this.data.sees, words.starc] : [], each = narrow ? 62 : 92;
    const name = narrow ? 152 : 180, right = this.width - each * sees.length - 8 * columns, end = right - 62;
    element("text", { x: 0, y: top, class: "small strong" }, this.dim, words.table);
    sees.forEach((text, k) => {
      const place = { x: right + each * k + 3, y: top - 18, width: each - 6, height: 30 + high * rows.length, rx: 6 };
      if (made[k]) element("rect", { ...place, class: "now" }, this.dim);
      element("text", { x: right + each * (k + 0.5), y: top, "text-anchor": "middle", class: "small strong" }, this.dim, text);
    });
    this.bars = rows.map((row, i) => this.line(row, top + 22 + high * i, { name, end, right, each, columns }));
    lines.forEach((text, k) => element("text", {
      x: 0, y: below + 14 + high * rows.length + NOTE * (k + 1), class: "muted small",
    }, this.dim, text));
  }

  // A distance: its name, a bar, its value and, where there is room, what it sees.
  line(row, y, { name, end, right, each, columns }) {
    const thick = Math.min(16, this.size.row - 6), place = { x: name, y: y - thick / 2, height: thick, rx: 3 };
    element("text", { x: 0, y: y + 4, class: "label" }, this.dim, row.name).style.fill = row.color;
    element("line", { x1: name - 34, x2: name - 8, y1: y, y2: y, class: "line", stroke: row.color, "stroke-dasharray": row.dash ?? "none" }, this.dim);
    element("rect", { ...place, width: end - name, class: "track" }, this.dim);
    const bar = element("rect", { ...place, fill: row.color }, this.dim);
    const value = element("text", { x: right - 8 * columns, y: y + 4, "text-anchor": "end" }, this.dim);
    if (columns) this.marks(row, y, right, each);
    return { bar, value, row, room: end - name };
  }

  marks(row, y, right, each) {
    const { sees } = this.data;
    row.blind.forEach((blind, k) => {
      const dot = element("circle", { cx: right + each * (k + 0.5), cy: y, r: 5, class: blind ? "blind" : "seeing" }, this.dim);
      element("title", {}, dot, blind ? `does not see: ${sees[k]}` : `sees: ${sees[k]}`);
    });
    const mark = { x: right + each * (sees.length + 0.5), y: y + 4, "text-anchor": "middle", class: row.starc ? "strong" : "muted" };
    element("text", mark, this.dim, row.starc ? "yes" : "no");
  }

  // ---- drawing: only numbers looked up in what Python sent
  draw() {
    const { reward, words, losses } = this.data, states = reward.length;
    this.svg.classList.toggle("waiting", this.values.some((value, s) => Math.abs(value - reward[s]) > 1e-9));
    this.paint(this.first, this.values, 0);
    this.paint(this.second, this.pays.subarray(this.at * states, (this.at + 1) * states), this.at);
    const x = this.x(this.at), share = short(this.data.share[this.at], 3);
    set(this.rule, { x1: x, x2: x });
    set(this.knob, { transform: `translate(${x} 0)`, "aria-valuenow": this.data.share[this.at], "aria-valuetext": share });
    const [low, high] = this.walkEnds, room = 92;
    set(this.share, { x: Math.min(Math.max(x, low + room), high - room) });
    this.share.textContent = `t = ${share}`;
    for (const { dot, line, place } of this.dots) set(dot, { cx: x, cy: place(line.drawn[this.at]) });
    this.loss.textContent = `${words.lost} ${losses.map((line) => `${line.name} ${percent(line.drawn[this.at])}`).join(" · ")}`;
    for (const { bar, value, row, room: all } of this.bars) {
      set(bar, { width: Math.max(all * Math.min(row.drawn[this.at], 1), 0) });
      value.textContent = `${row.values[this.at].toFixed(3)}`;
    }
  }

  paint({ cells, arrows, place }, values, step) {
    const { map, limit } = this.data, states = cells.length, actions = this.best.length / states / this.data.share.length;
    arrows.replaceChildren();
    cells.forEach(({ group, shape, label }, s) => {
      const value = values[s], part = Math.min(Math.abs(value) / limit, 1);
      shape.style.fill = `color-mix(in srgb, var(${value < 0 ? "--under" : "--over"}) ${(8 + 52 * part) * (part > 0.002)}%, var(--panel))`;
      label.textContent = Math.abs(value) < 0.005 && map.kind === "grid" ? "" : short(value);
      if (group.dataset.cell) set(group, { "aria-valuenow": value, "aria-valuetext": short(value) });
      else set(group, { "aria-label": `choose state ${s}, reward ${label.textContent || 0}` });
      const good = [...Array(actions).keys()].filter((a) => this.best[(step * states + s) * actions + a]);
      const kind = this.apart[step * states + s] ? "arrow apart" : "arrow";
      this.arrow(place(s), s, good, actions, kind, arrows, place);
    });
  }

  arrow([x, y], s, good, actions, kind, parent, place) {
    const { map } = this.data;
    if (map.kind === "graph") {
      for (const a of good) {
        const t = map.successor[s][a];
        if (t === s) continue;
        const d = this.arc([x, y], place(t)), path = element("path", { d, class: kind }, parent);
        const length = path.getTotalLength(), [tip, back] = [path.getPointAtLength(length), path.getPointAtLength(length - 9)];
        this.head(tip.x, tip.y, Math.atan2(tip.y - back.y, tip.x - back.x), kind, parent);
      }
      return;
    }
    const cy = y + Math.min(9, this.cell * 0.16), reach = Math.min(this.cell * 0.27, 20);
    element("circle", { cx: x, cy, r: 2, class: `${kind} dotted` }, parent);
    if (good.length === actions) return;
    for (const a of good) {
      const [dx, dy] = map.ways[a], [tx, ty] = [x + dx * reach, cy + dy * reach];
      element("path", { d: `M${x} ${cy} L${tx} ${ty}`, class: kind }, parent);
      this.head(tx, ty, Math.atan2(dy, dx), kind, parent);
    }
  }

  head(x, y, angle, kind, parent) {
    const corner = (turn) => `${x - 7 * Math.cos(angle + turn)} ${y - 7 * Math.sin(angle + turn)}`;
    element("path", { d: `M${corner(0.5)} L${x} ${y} L${corner(-0.5)}`, class: kind }, parent);
  }

  // ---- gestures
  down(event) {
    const at = event.target.closest("[data-cell], [data-place], [data-walk]");
    if (!at) return;
    if (at.dataset.place !== undefined) return this.tell({ place: Number(at.dataset.place) });
    this.held = at.dataset.walk ? { walk: true } : { cell: Number(at.dataset.cell), y: event.clientY, from: this.values[at.dataset.cell] };
    this.svg.setPointerCapture(event.pointerId);
    (at.dataset.walk ? this.knob : at).focus({ preventScroll: true });
    event.preventDefault();
    if (this.held.walk) this.move(event);
  }

  move(event) {
    if (!this.held) return;
    if (this.held.walk) {
      const [low, high] = this.walkEnds, last = this.data.share.length - 1;
      const part = (event.clientX - this.svg.getBoundingClientRect().left - low) / (high - low);
      this.at = Math.round(Math.min(Math.max(part, 0), 1) * last);
    } else this.change(this.held.cell, this.held.from + (this.held.y - event.clientY) / PER_UNIT);
    this.draw();
  }

  up() {
    const held = this.held;
    this.held = undefined;
    if (held?.walk) this.tell({ at: this.at });
    else if (held && this.values[held.cell] !== held.from) this.tell({ reward: this.values });
  }

  zero(event) {
    const at = event.target.closest("[data-cell]");
    if (!at || !this.values[at.dataset.cell]) return;
    this.values[at.dataset.cell] = 0;
    this.draw();
    this.tell({ reward: this.values });
  }

  change(cell, value) {
    const { low, high, step } = this.data;
    this.values[cell] = Number((Math.round(Math.min(Math.max(value, low), high) / step) * step).toFixed(6));
  }

  key(event) {
    const at = event.target.closest("[data-cell], [data-place], .walk");
    if (!at) return;
    if (at.dataset.place !== undefined) {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.tell({ place: Number(at.dataset.place) }); }
      return;
    }
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 }[event.key];
    const { low, high, step, share } = this.data, walk = at.dataset.walk, cell = Number(at.dataset.cell);
    const ends = { Home: walk ? 0 : low, End: walk ? share.length - 1 : high, Delete: walk ? undefined : 0 }[event.key];
    if (steps === undefined && ends === undefined) return;
    event.preventDefault();
    if (walk) this.at = Math.min(Math.max(ends ?? this.at + steps, 0), share.length - 1);
    else this.change(cell, ends ?? this.values[cell] + steps * step);
    this.typed = walk ? { walk } : { cell };
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(walk ? { at: this.at } : { reward: this.values }), 250);
  }

  tell(news) {
    clearTimeout(this.timer);
    this.typed = undefined;
    this.report(news);
  }
}
