// Files that were dropped anywhere, on their way to the room that takes one after the other.

import { useEffect, useState } from "preact/hooks";
import { go } from "./place";

const CAME = "dropped";
let taken: File | null = null;
let waiting: File[] = [];

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
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    choose(files);
    go({ room: "add" });
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

/** The first of them is taken, the others wait before those that waited. */
export function choose(files: File[]): void {
  const [first, ...others] = files;
  if (first) tell(first, [...others, ...waiting]);
}

/** The next that waits is taken. */
export function takeNext(): void {
  tell(waiting[0] ?? null, waiting.slice(1));
}

/** Those that wait are not wanted. */
export function leaveOthers(): void {
  tell(taken, []);
}

/** The file that is taken, and those that wait. */
export function useDropped(): { file: File | null; others: File[] } {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const came = () => setTurn((turn) => turn + 1);
    addEventListener(CAME, came);
    return () => removeEventListener(CAME, came);
  }, []);
  return { file: taken, others: waiting };
}

/** It is there, or is not wanted. The others wait until they are asked for. */
export function letGo(): void {
  tell(null, waiting);
}

function tell(file: File | null, others: File[]): void {
  taken = file;
  waiting = others;
  dispatchEvent(new Event(CAME));
}
