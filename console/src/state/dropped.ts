// A file that was dropped anywhere, on its way to the room that takes it.

import { useEffect, useState } from "preact/hooks";
import { go } from "./place";

const CAME = "dropped";
let waiting: File | null = null;
let others = 0;

/** Take what is dropped on the window. Returns how to stop. */
export function takeDrops(): () => void {
  const shown = document.body.classList;
  const over = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    shown.add("dragged");
  };
  const leave = (event: DragEvent) => {
    if (!event.relatedTarget) shown.remove("dragged");
  };
  const drop = (event: DragEvent) => {
    shown.remove("dragged");
    const files = event.dataTransfer?.files;
    const file = files?.[0];
    if (!file) return;
    event.preventDefault();
    waiting = file;
    others = files.length - 1;
    go({ room: "add" });
    dispatchEvent(new Event(CAME));
  };
  addEventListener("dragover", over);
  addEventListener("dragleave", leave);
  addEventListener("drop", drop);
  return () => {
    removeEventListener("dragleave", leave);
    removeEventListener("dragover", over);
    removeEventListener("drop", drop);
  };
}

/** How many were dropped beside it, and not taken. */
export function othersDropped(): number {
  return others;
}

/** The file that was dropped last, and how to set another. */
export function useDropped(): [File | null, (file: File | null) => void] {
  const [file, setFile] = useState<File | null>(waiting);
  useEffect(() => {
    const came = () => setFile(waiting);
    addEventListener(CAME, came);
    return () => removeEventListener(CAME, came);
  }, []);
  return [
    file,
    (next) => {
      waiting = next;
      others = 0;
      setFile(next);
    },
  ];
}
