for (const box of document.querySelectorAll("[data-filter]")) {
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = input.ariaLabel = box.dataset.filter;
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    if (wanted) box.querySelectorAll("details").forEach((fold) => { fold.open = true; });
    for (const row of box.querySelectorAll("[data-row]")) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
  box.prepend(input);
}
const dollars = (usd) => {
  if (!Number.isFinite(usd)) return "–";
  if (usd === 0) return "$0";
  const digits = usd >= 1 ? 2 : Math.min(20, Math.max(2, 1 - Math.floor(Math.log10(usd))));
  return "$" + usd.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
};
for (const box of document.querySelectorAll(".whatif")) {
  const rate = (name) => Number(box.dataset[name]);
  const show = (name, text) => { box.querySelector(`[data-out=${name}]`).textContent = text; };
  const given = { yield: (100 * rate("accepted")).toFixed(1) };
  const typed = (name) => {
    const input = box.querySelector(`[data-name=${name}]`);
    if (!input) return 1;
    if (input.value === given[name]) return 100 * rate("accepted");
    return input.value !== "" && input.validity.valid ? Number(input.value) : NaN;
  };
  const reckon = () => {
    const attempt = typed("price") * (rate("generation") + rate("other") + typed("critic") * rate("judging"));
    const record = attempt / (typed("yield") / 100), wanted = typed("wanted");
    show("record", dollars(record));
    show("total", dollars(record * wanted));
    show("count", Number.isFinite(wanted) ? wanted.toLocaleString("en-US") : "–");
  };
  box.querySelector(".inputs").hidden = false;
  box.addEventListener("input", reckon);
  reckon();
}
addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not([data-screen])").forEach((fold) => { fold.open = true; });
});
