"use strict";
// A click on a header sorts by that column: first the way it is most often wanted, then the other way round.
// Cells carry their number in data-value; what has none stays at the end either way.
function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference);
}

function sort(header) {
  const body = header.closest("table").tBodies[0];
  const place = header.cellIndex;
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  const value = (row) => row.cells[place].dataset.value;
  const rows = Array.from(body.rows).sort((a, b) => compare(value(a), value(b), ascending ? 1 : -1));
  for (const other of header.parentElement.cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  body.append(...rows);
}

for (const header of document.querySelectorAll("th[aria-sort]")) {
  header.addEventListener("click", () => sort(header));
}

const larger = document.getElementById("larger");
for (const button of document.querySelectorAll("figure button")) {
  button.addEventListener("click", () => {
    larger.lastElementChild.replaceChildren(button.firstElementChild.cloneNode(true));
    larger.showModal();
  });
}
larger.addEventListener("click", (event) => {
  if (event.target === larger) larger.close();
});
