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
addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not([data-screen])").forEach((fold) => { fold.open = true; });
});
