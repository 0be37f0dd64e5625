// Shows the value of a slider while it moves.

export function showValues(sliders) {
  for (const slider of sliders) {
    const shown = document.getElementById(slider.dataset.slider);
    slider.addEventListener("input", () => { shown.textContent = `${slider.value} %`; });
  }
}
