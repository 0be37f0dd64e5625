// Shows the value of a slider while it moves. The page may replace the slider meanwhile.

document.addEventListener("input", ({ target }) => {
  const shown = target.dataset.slider && document.getElementById(target.dataset.slider);
  if (shown) shown.textContent = `${target.value} %`;
});
