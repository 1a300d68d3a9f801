"use strict";
// Tables marked data-sortable are sorted by their headings, those marked data-download are saved as tab-separated values.
const exact = cell => cell.dataset.value ?? cell.textContent.trim();
const order = new Intl.Collator("en", { numeric: true });

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}

function sort(table, column) {
  const headings = [...table.tHead.rows[0].cells];
  const rising = headings[column].getAttribute("aria-sort") !== "ascending";
  const numeric = headings[column].classList.contains("number");
  const key = row => {
    const text = exact(row.cells[column]);
    return numeric ? parseFloat(text.replaceAll(",", "")) : text;
  };
  const missing = value => value === "" || Number.isNaN(value);
  const rows = [...table.tBodies[0].rows].map(row => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return (rising ? 1 : -1) * (numeric ? a - b : order.compare(a, b));
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
  headings.forEach(heading => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", rising ? "ascending" : "descending");
}

function save(table) {
  const plain = cell => exact(cell).replace(/[\t\r\n]+/g, " ");
  const text = [...table.rows].map(row => [...row.cells].map(plain).join("\t") + "\n").join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  link.download = table.dataset.download;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  [...(table.tHead?.rows[0].cells ?? [])].forEach((heading, column) => {
    const text = heading.textContent;
    heading.replaceChildren(button(text, () => sort(table, column)));
  });
}
for (const table of document.querySelectorAll("table[data-download]")) {
  const place = document.createElement("p");
  place.className = "save";
  place.append(button(`Save as ${table.dataset.download}`, () => save(table)));
  table.parentElement.after(place);
}
