// Shows the progress of an upload, and takes a file that is dropped anywhere.

import { localTimes } from "./time.js";

export function watchUpload(form) {
  if (!form) return;
  takeDroppedFiles(form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.ariaBusy !== "true") send(form);
  });
}

function takeDroppedFiles(form) {
  const show = (event, isOver) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dragging", isOver);
  };
  document.addEventListener("dragover", (event) => show(event, true));
  document.addEventListener("dragleave", (event) => show(event, false));
  document.addEventListener("drop", (event) => {
    show(event, false);
    for (const file of event.dataTransfer?.files ?? []) {
      const one = new DataTransfer();
      one.items.add(file);
      const field = file.name.endsWith(".minisig") ? "#signature" : "#component";
      form.querySelector(field).files = one.files;
    }
  });
}

function send(form) {
  const box = form.querySelector("[data-progress]");
  const bar = box.querySelector("progress");
  const text = box.querySelector("[data-progress-text]");
  const request = new XMLHttpRequest();
  const fail = (message) => {
    form.ariaBusy = null;
    bar.hidden = true;
    text.textContent = message;
  };
  request.open("POST", form.action);
  request.responseType = "document";
  request.upload.onprogress = ({ lengthComputable, loaded, total }) => {
    if (!lengthComputable) return;
    bar.value = (100 * loaded) / total;
    text.textContent = loaded < total ? `${Math.floor(bar.value)} % sent` : "The host checks the file.";
  };
  request.onload = () => {
    if (request.status < 400 && request.responseURL) location.assign(request.responseURL);
    else if (request.response?.querySelector("main")) show(request.response);
    else fail("The host did not take the file. Try again.");
  };
  request.onerror = () => fail("The connection broke. Try again.");
  form.ariaBusy = "true";
  box.hidden = false;
  bar.hidden = false;
  text.textContent = "The upload begins.";
  request.send(new FormData(form));
}

// The host has rendered the page with the reasons.
function show(answer) {
  const main = document.importNode(answer.querySelector("main"), true);
  document.querySelector("main").replaceWith(main);
  localTimes(main);
  watchUpload(main.querySelector("[data-upload]"));
  main.focus();
}
