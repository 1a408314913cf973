// A file that was dropped anywhere, on its way to the room that takes it.

import { useEffect, useState } from "preact/hooks";
import { go } from "./place";

const CAME = "dropped";
let waiting: File | null = null;

/** Take what is dropped on the window. Returns how to stop. */
export function takeDrops(): () => void {
  const over = (event: DragEvent) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  };
  const drop = (event: DragEvent) => {
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    waiting = file;
    go({ room: "add" });
    dispatchEvent(new Event(CAME));
  };
  addEventListener("dragover", over);
  addEventListener("drop", drop);
  return () => {
    removeEventListener("dragover", over);
    removeEventListener("drop", drop);
  };
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
      setFile(next);
    },
  ];
}
