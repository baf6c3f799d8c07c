// Tokens coloured by what pushes them, a table for each method. No formula lives here: Python sends colours and words;
// pointing at a token, or walking to it with the arrow keys, tells its weight under every method. Words of tokens are
// text nodes, never markup.

const HEAD = 24, LEAST = 17, MOST = 40, LABEL = 92, GAP = 28, FOOT = 58, BELOW = 64, WIDEST = 150, LETTER = 7.4, LINE = 26, TEXT = 400;

function tag(name, attributes, parent, text = "") {
  const made = document.createElement(name);
  set(made, attributes);
  made.textContent = text;
  parent.appendChild(made);
  return made;
}

class View {
  constructor(host) {
    this.host = host;
    this.blocks = tag("div", { class: "blocks" }, host);
    const foot = tag("div", { class: "foot" }, host);
    this.told = tag("span", { class: "told" }, foot);
    this.legend = tag("span", { class: "muted" }, foot);
    const resized = () => this.data && (this.width !== host.clientWidth || this.moved()) && this.build();
    new ResizeObserver(resized).observe(host);
    addEventListener("resize", resized);
    for (const [name, act] of Object.entries({ pointerover: "point", focusin: "point", pointerleave: "leave", keydown: "key" }))
      host.addEventListener(name, (event) => this[act](event));
  }

  receive(data) {
    this.data = data;
    tint(this.host, data.colors);
    this.build();
    requestAnimationFrame(() => this.moved() && this.build());
  }

  // ---- geometry
  moved() {
    return roomMoved(this.host, BELOW, this.room);
  }

  // Side by side where all words have room, else one below the other; rows as high as the window lets them be. As text,
  // words take the room that they need.
  sizes() {
    const { methods: { length: count, 0: { rows } }, columns, letters, flow } = this.data;
    if (flow) return { side: Math.min(count, Math.max(1, Math.floor(this.width / TEXT))), row: LINE, wide: Infinity };
    const wide = (side) => Math.min(((this.width - GAP * (side - 1)) / side - LABEL) / columns - 2, WIDEST);
    const high = (side) => {
      const deep = Math.ceil(count / side);
      return Math.min(MOST, (this.room - FOOT - deep * (HEAD + 8)) / (deep * rows.length) - 2);
    };
    const beside = [count, count / 2].find((side) => side > 1 && side % 1 === 0 && (letters + 2) * LETTER <= wide(side));
    const side = beside ?? (count > 1 && this.width >= 760 && high(1) < LEAST ? 2 : 1);
    return { side, row: Math.max(high(side), LEAST), wide: wide(side) };
  }

  build() {
    this.width = this.host.clientWidth;
    if (!this.width) return;
    this.room = roomFor(this.host, BELOW);
    const { methods, columns, legend, gradient } = this.data, { side, row, wide } = this.sizes();
    const at = this.at ?? "0-0-0", focused = this.host.contains(this.active());
    this.host.classList.toggle("flow", this.data.flow);
    this.host.style.setProperty("--row", `${row}px`);
    this.blocks.style.gridTemplateColumns = `repeat(${side}, minmax(0, 1fr))`;
    this.blocks.replaceChildren();
    this.cells = new Map();
    this.wide = wide;
    methods.forEach((method, m) => this.table(method, m, columns, wide, m < side));
    this.legend.replaceChildren();
    this.legend.append(`${legend[0]} `);
    tag("span", { class: "bar", style: `background: ${gradient}` }, this.legend);
    this.legend.append(` ${legend[1]}`);
    const first = this.cells.get(at) ?? this.cells.values().next().value;
    if (first) first.tabIndex = 0;
    if (focused) first?.focus({ preventScroll: true });
    else this.leave();
  }

  table({ name, rows }, m, columns, wide, headed) {
    const width = this.data.flow ? "100%" : `${LABEL + columns * (wide + 2)}px`;
    const table = tag("table", { role: "grid", style: `width: ${width}` }, this.blocks);
    tag("caption", {}, table, name);
    const head = tag("tr", {}, tag("thead", {}, table)), every = wide < 20 ? 5 : 1;
    tag("th", { scope: "col", style: `width: ${LABEL}px` }, head, headed ? this.data.corner : "");
    for (let c = 1; c <= columns; c++) tag("th", { scope: "col" }, head, headed && (c % every === 0 || c === 1) ? c : "");
    if (this.data.flow) head.parentNode.remove();
    else if (!headed) head.style.visibility = "collapse";
    const body = tag("tbody", {}, table);
    rows.forEach(({ label, cells }, r) => {
      const line = tag("tr", { role: "row" }, body);
      tag("th", { scope: "row", role: "rowheader" }, line, label);
      for (let c = 0; c < columns; c++) this.cell(cells[c], `${m}-${r}-${c}`, line);
    });
  }

  cell(found, at, line) {
    if (!found) return this.data.flow || tag("td", {}, line);
    const [word, , mark, background, ink] = found, [m, r, c] = at.split("-");
    const made = tag("td", {
      role: "gridcell", tabindex: -1, "data-at": at, style: `background: ${background}; color: ${ink}`,
      "aria-label": this.words(m, r, c, [m]),
    }, line, (word.length + 2) * LETTER <= this.wide ? word + (this.data.flow ? "" : " ") + mark : mark);
    this.cells.set(at, made);
    return made;
  }

  // ---- what is told of a token, looked up in what Python sent
  words(m, r, c, methods) {
    const { label, cells } = this.data.methods[m].rows[r];
    const weights = methods.map((k) => `${this.data.methods[k].name} ${this.data.methods[k].rows[r].cells[c][1]}`);
    return `rollout ${label}, ${this.data.unit} ${Number(c) + 1}, ${cells[c][0]}: ${weights.join(" · ")}`;
  }

  // The methods whose row of that number is the same rollout.
  alike(m, r) {
    const { methods } = this.data, mine = methods[m].rows[r].cells;
    const same = ({ rows }) => rows[r].cells.every((cell, c) => cell?.[0] === mine[c]?.[0]);
    return [...methods.keys()].filter((k) => same(methods[k]));
  }

  show(cell) {
    const [m, r, c] = cell.dataset.at.split("-"), alike = this.alike(m, r);
    this.told.className = "told";
    this.told.textContent = this.words(m, r, c, alike);
    for (const each of this.cells.values()) each.classList.remove("same");
    for (const k of alike) this.cells.get(`${k}-${r}-${c}`).classList.add("same");
  }

  leave() {
    const focus = this.active();
    if (focus?.dataset?.at) return this.show(focus);
    for (const each of this.cells.values()) each.classList.remove("same");
    this.told.className = "told muted";
    this.told.textContent = this.data.hint;
  }

  // ---- gestures
  active() {
    return this.host.getRootNode().activeElement;
  }

  point(event) {
    const cell = event.target.closest("[data-at]");
    if (!cell) return;
    this.show(cell);
    if (event.type !== "focusin") return;
    for (const each of this.cells.values()) each.tabIndex = -1;
    cell.tabIndex = 0;
    this.at = cell.dataset.at;
  }

  key(event) {
    const at = event.target.closest("[data-at]")?.dataset.at.split("-").map(Number);
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -Infinity], End: [0, Infinity] }[event.key];
    if (!at || !steps) return;
    event.preventDefault();
    const rows = this.data.methods[0].rows.length, line = at[0] * rows + at[1] + steps[0];
    const here = [...this.cells.values()].filter((each) => {
      const [m, r] = each.dataset.at.split("-").map(Number);
      return m * rows + r === line;
    });
    const place = steps[0] ? at[2] : here.findIndex((each) => Number(each.dataset.at.split("-")[2]) === at[2]) + steps[1];
    here[Math.min(Math.max(place, 0), here.length - 1)]?.focus({ preventScroll: true });
  }
}
