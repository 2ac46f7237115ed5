// Before anything is drawn: the theme this browser was told to keep. "auto" is what the system says.
const kept = localStorage.getItem("hub-theme");
document.documentElement.dataset.theme = ["light", "dark"].includes(kept) ? kept : "auto";
