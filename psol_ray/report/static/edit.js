// Correcting a box in the viewer: its corners are drawn to their places, by pointer or by keys.

const HANDLE = 9; // pixels of the screen
let edited = null; // the box as it is now, while it is edited

const cornersOf = ([x0, y0, x1, y1]) => [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];

function startEditing() {
  if (!current || !canReview(current)) return;
  edited = [...(reviewOf(current)?.box || current.pseudo)];
  viewer.classList.add("editing");
  drawEdited();
}

function stopEditing() {
  edited = null;
  viewer.classList.remove("editing");
}

function keepEdited() {
  const box = edited.map((corner) => Number(corner.toFixed(2)));
  const image = current;
  stopEditing();
  judge(image, "corrected", box);
}

function drawEdited() {
  const svg = part("frame").querySelector("svg");
  const radius = (HANDLE * current.size[0]) / svg.getBoundingClientRect().width;
  const boxes = [boxElement("casing mine", edited), boxElement("mine", edited)];
  const handles = cornersOf(edited).map(([cx, cy]) => svgElement("circle", { class: "handle", cx, cy, r: radius }));
  svg.replaceChildren(...boxes, ...handles);
}

// Corners sorted, inside the image, and never closer than two pixels.
function setEdited([x0, y0, x1, y1]) {
  const [width, height] = current.size;
  const inside = (value, end) => Math.min(Math.max(value, 0), end);
  const [left, right] = [inside(Math.min(x0, x1), width - 2), inside(Math.max(x0, x1), width)];
  const [top, bottom] = [inside(Math.min(y0, y1), height - 2), inside(Math.max(y0, y1), height)];
  edited = [left, top, Math.max(right, left + 2), Math.max(bottom, top + 2)];
  drawEdited();
}

function moveEdited(dx, dy) {
  const [width, height] = current.size;
  const [x0, y0, x1, y1] = edited;
  const x = Math.min(Math.max(dx, -x0), width - x1);
  const y = Math.min(Math.max(dy, -y0), height - y1);
  setEdited([x0 + x, y0 + y, x1 + x, y1 + y]);
}

function pointOf(event) {
  const area = part("frame").querySelector("svg").getBoundingClientRect();
  const [width, height] = current.size;
  return [((event.clientX - area.left) * width) / area.width, ((event.clientY - area.top) * height) / area.height];
}

// From the nearest corner, if it is near; from inside the box, all of it; from elsewhere, a new box.
function drag(event) {
  if (!edited || event.button) return;
  event.preventDefault();
  const frame = part("frame");
  const start = pointOf(event);
  const reach = (2.5 * HANDLE * current.size[0]) / frame.getBoundingClientRect().width;
  const corners = cornersOf(edited);
  const distances = corners.map(([x, y]) => Math.hypot(x - start[0], y - start[1]));
  const nearest = distances.indexOf(Math.min(...distances));
  const [x0, y0, x1, y1] = edited;
  const isInside = start[0] > x0 && start[0] < x1 && start[1] > y0 && start[1] < y1;
  const isNear = distances[nearest] <= reach;
  const fixed = isNear ? corners[(nearest + 2) % 4] : start;
  let last = start;
  const move = (moved) => {
    if (!edited) return; // kept or left meanwhile, by a key
    const now = pointOf(moved);
    if (isInside && !isNear) moveEdited(now[0] - last[0], now[1] - last[1]);
    else setEdited([...fixed, ...now]);
    last = now;
  };
  frame.setPointerCapture(event.pointerId);
  frame.addEventListener("pointermove", move);
  frame.addEventListener("lostpointercapture", () => frame.removeEventListener("pointermove", move), { once: true });
}

part("frame").addEventListener("pointerdown", drag);
