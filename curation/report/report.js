// The page works without this: it draws the playhead over a drawn sound, seeks by a click and stops the other sounds.
document.querySelectorAll(".sound").forEach((sound) => {
  const audio = sound.querySelector("audio");
  const draw = () => {
    sound.style.setProperty("--played", audio.duration ? audio.currentTime / audio.duration : 0);
    if (!audio.paused) requestAnimationFrame(draw);
  };
  audio.addEventListener("play", () => {
    document.querySelectorAll("audio").forEach((other) => other !== audio && other.pause());
    draw();
  });
  audio.addEventListener("timeupdate", draw);
  sound.querySelector(".strip").addEventListener("click", (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    if (audio.duration) audio.currentTime = (audio.duration * (event.clientX - box.left)) / box.width;
    audio.play();
  });
});
