"use strict";
// Sorts and filters the rows of a board, shows another metric, and opens rows. All text is put in as text. Of many rows
// the first are in the table, and all once somebody asks for them.
(() => {
  const table = document.getElementById("rows"), body = table.tBodies[0], form = document.getElementById("filters");
  const primary = table.dataset.primary;
  const rows = Array.from(body.rows, (tr, place) => ({
    tr, place, opened: null, scores: JSON.parse(tr.dataset.scores), cell: tr.querySelector("td.score"),
    words: tr.textContent.toLowerCase(),
  }));
  const more = document.getElementById("more"), inOrder = new Intl.Collator().compare;
  let most = Number(table.dataset.atOnce);
  const heads = Array.from(table.tHead.rows[0].cells);
  let sorted = { key: "", up: true };

  const value = (row, key) => {
    if (key === "score") return row.scores[form.elements.metric.value];
    const text = row.tr.dataset[key];
    if (["rank", "runs", "delta"].includes(key)) return text === "" ? undefined : Number(text);
    return text.toLowerCase();
  };
  const compare = (a, b) => {
    if (!sorted.key) return a.place - b.place;
    const x = value(a, sorted.key), y = value(b, sorted.key);
    const missing = (v) => v === undefined || v === "";
    if (missing(x) || missing(y)) return missing(x) - missing(y) || a.place - b.place;
    const order = typeof x === "number" ? x - y : inOrder(x, y);
    return (sorted.up ? order : -order) || a.place - b.place;
  };
  const matches = (row) => {
    const wanted = form.elements, data = row.tr.dataset;
    return ["strategy", "generator", "classifier"].every((key) => !wanted[key].value || wanted[key].value === data[key])
      && (!wanted.complete.checked || data.status === "complete")
      && row.words.includes(wanted.text.value.trim().toLowerCase());
  };
  const show = () => {
    const found = rows.filter(matches).sort(compare), parts = document.createDocumentFragment();
    for (const row of found.slice(0, most)) {
      row.tr.hidden = false;
      parts.append(row.tr);
      if (row.opened) parts.append(row.opened);
    }
    body.replaceChildren(parts);
    more.hidden = found.length <= most;
    more.firstElementChild.textContent = `Show all ${found.length} rows`;
    const first = more.hidden ? "" : `; the first ${most} are shown`;
    document.getElementById("shown").textContent = `${found.length} of ${rows.length} rows${first}`;
    for (const head of heads) {
      if (!head.dataset.key) continue;
      if (head.dataset.key === sorted.key) head.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
  };
  const showMetric = () => {
    const option = form.elements.metric.selectedOptions[0], name = option.value;
    heads.find((head) => head.dataset.key === "score").querySelector("button").textContent = name;
    for (const row of rows) {
      const number = row.scores[name];
      row.cell.textContent = name === primary ? row.cell.dataset.primary : number === undefined ? "–" : number.toFixed(3);
    }
    sorted = name === primary ? { key: "", up: true } : { key: "score", up: option.dataset.higher === "0" };
    show();
  };
  const toggle = (row, button) => {
    if (row.opened) { row.opened.remove(); row.opened = null; } else {
      const cell = document.createElement("td");
      cell.colSpan = heads.length;
      cell.append(document.getElementById(button.dataset.details).content.cloneNode(true));
      row.opened = document.createElement("tr");
      row.opened.className = "opened";
      row.opened.append(cell);
      row.tr.after(row.opened);
    }
    button.setAttribute("aria-expanded", String(row.opened !== null));
  };

  for (const head of heads) {
    const key = head.dataset.key;
    if (!key) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const lower = form.elements.metric.selectedOptions[0].dataset.higher === "0";
      const first = key === "score" ? lower : !["runs", "delta"].includes(key);
      sorted = { key, up: sorted.key === key ? !sorted.up : first };
      show();
    });
    head.replaceChildren(button);
  }
  for (const row of rows) {
    const button = row.tr.querySelector("button[data-details]");
    button.hidden = false;
    button.addEventListener("click", () => toggle(row, button));
  }
  more.firstElementChild.addEventListener("click", () => { most = Infinity; show(); });
  form.addEventListener("input", (event) => (event.target.name === "metric" ? showMetric() : show()));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
})();
