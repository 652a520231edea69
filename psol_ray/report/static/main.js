// Wires buttons, sliders and keys to what they do, and shows the sheet.

const VERDICT_KEYS = { a: "accepted", r: "rejected" };
const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

// Called whenever something is said of an image, or of none in particular.
function changed(image) {
  const counts = VERDICTS.map((verdict) => [verdict, [...reviews.values()].filter((r) => r.verdict === verdict).length]);
  const said = counts.filter(([, count]) => count).map(([verdict, count]) => `${count} ${verdict}`);
  document.getElementById("reviewed").textContent = said.join(", ");
  document.getElementById("review-bar").hidden = !said.length;
  if (image) redraw(image);
  else showSheet();
  if (current) view(current);
}

function onEditKey(event) {
  if (event.key === "Enter") keepEdited();
  else if (event.key === "Escape") view(current);
  else if (STEPS[event.key]) {
    const [dx, dy] = STEPS[event.key].map((by) => (by * Math.max(...current.size)) / 100);
    if (event.shiftKey) setEdited([edited[0], edited[1], edited[2] + dx, edited[3] + dy]);
    else moveEdited(dx, dy);
  } else return false;
  return true;
}

function onViewerKey(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, j: 1, ArrowLeft: -1, ArrowUp: -1, k: -1 }[event.key];
  if (by) step(by);
  else if (event.key === "h") toggleHeat();
  else if (event.key === "e") startEditing();
  else return onVerdictKey(event, current);
  return true;
}

function onVerdictKey(event, image) {
  if (event.key === "u") undo();
  else if (VERDICT_KEYS[event.key] && image) judge(image, VERDICT_KEYS[event.key]);
  else return false;
  return true;
}

function onCardKey(event, place) {
  const [dx, dy] = STEPS[event.key] || { j: [1, 0], k: [-1, 0] }[event.key] || [0, 0];
  const next = place + dx + dy * numColumns();
  if (dx || dy) {
    if (next >= 0 && next < shown.length) cardAt(next).focus();
    return true;
  }
  if (event.key === "e" || event.key === "h") {
    openAt(place);
    if (event.key === "e") startEditing();
    else if (!withHeat) toggleHeat();
    return true;
  }
  return onVerdictKey(event, shown[place]);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
  const place = event.target.closest?.(".card")?.dataset.place;
  let used = false;
  if (edited) used = onEditKey(event);
  else if (viewer.open) used = onViewerKey(event);
  else if (place !== undefined) used = onCardKey(event, Number(place));
  if (used) event.preventDefault();
});

const ACTIONS = {
  previous: () => step(-1),
  next: () => step(1),
  heat: toggleHeat,
  accept: () => judge(current, "accepted"),
  reject: () => judge(current, "rejected"),
  edit: startEditing,
  keep: keepEdited,
  cancel: () => view(current),
  close: () => viewer.close(),
  more: () => showMore(),
  undo,
  download: downloadReview,
  forget: () => confirm("Forget all that was said of these boxes?") && forgetReviews(),
};

document.addEventListener("click", (event) => {
  const made = event.target.closest(".card");
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (made && sheet.contains(made)) openAt(Number(made.dataset.place));
  else if (action) ACTIONS[action]();
  else if (event.target === viewer) viewer.close(); // beside it
});

fillControls();
controls.addEventListener("input", showSheet);
controls.addEventListener("submit", (event) => event.preventDefault());
for (const hidden of document.querySelectorAll("[data-script]")) hidden.hidden = false;
for (const replaced of document.querySelectorAll("[data-no-script]")) replaced.remove();
changed(null);
