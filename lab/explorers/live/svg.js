// What the inline components have in common; it is put in front of each.
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  set(made, attributes);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

function set(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
}

// The height that is left in the window below the top of `host`, less `below`; all that is wanted where it lies further
// down.
function roomFor(host, below) {
  let top = host.getBoundingClientRect().top;
  for (let at = host.parentNode; at; at = at.parentNode ?? at.host) top += at.scrollTop ?? 0;
  return top < innerHeight ? innerHeight - top - below : Infinity;
}

// Whether that height is no longer what it was.
function roomMoved(host, below, was) {
  const room = roomFor(host, below);
  return room !== was && !(Math.abs(room - was) < 3);
}

function tint(host, colors) {
  for (const [name, color] of Object.entries(colors)) host.style.setProperty(`--${name}`, color);
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}

