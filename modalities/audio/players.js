"use strict";
// A click on the picture of a player plays its sound, or stops it; no two sound at once.
(() => {
  const button = audio => audio.closest(".player").querySelector("button");

  function stop(audio) {
    audio.pause();
    audio.removeAttribute("src"); // browsers allow some dozens of live sounds in a page, and no more
    audio.load();
    button(audio).setAttribute("aria-pressed", "false");
  }

  function follow(audio) {
    const at = audio.currentTime / audio.dataset.seconds;
    button(audio).style.setProperty("--at", Math.min(at, 1));
    if (!audio.paused) requestAnimationFrame(() => follow(audio));
  }

  document.addEventListener("click", event => {
    const audio = event.target.closest(".player button")?.closest(".player").querySelector("audio");
    if (!audio) return;
    if (!audio.paused) {
      audio.pause();
      if (!audio.controls) audio.currentTime = 0;
      return;
    }
    if (!audio.hasAttribute("src")) audio.src = audio.dataset.sound;
    audio.play();
  });

  const listen = (kind, act) => document.addEventListener(
    kind, event => event.target.matches?.(".player audio") && act(event.target), true);
  listen("play", audio => {
    for (const other of document.querySelectorAll(".player audio[src]")) if (other !== audio) stop(other);
    button(audio).setAttribute("aria-pressed", "true");
    follow(audio);
  });
  for (const kind of ["pause", "ended"]) listen(kind, audio => button(audio).setAttribute("aria-pressed", "false"));
})();
