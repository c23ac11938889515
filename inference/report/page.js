const follow = (within) => {
  for (const take of within.querySelectorAll("figure.take")) {
    const audio = take.querySelector("audio"), picture = take.querySelector(".picture"), head = take.querySelector(".playhead");
    const move = () => {
      head.style.left = `${(100 * audio.currentTime) / (audio.duration || 1)}%`;
      if (!audio.paused) requestAnimationFrame(move);
    };
    audio.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
      take.classList.add("playing");
      move();
    });
    audio.addEventListener("seeked", move);
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      audio.currentTime = ((event.clientX - box.left) / box.width) * (audio.duration || 0);
      audio.play();
    });
  }
};
follow(document);
