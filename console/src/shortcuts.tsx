import { useEffect, useRef, useState } from "preact/hooks";
import { ROOMS, type RoomName } from "./rooms";
import { go } from "./state/place";
import { MEANINGS } from "./ui/word";

const TYPED = "input, textarea, select, [contenteditable]";

/** `g` and a letter go to a room, `/` to the search, `?` shows this. Returns the help, if shown. */
export function useShortcuts() {
  const [isShown, show] = useState(false);
  const after = useRef("");
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.target instanceof Element && event.target.matches(TYPED)) return;
      const before = after.current;
      after.current = event.key;
      const room = before === "g" && roomOfLetter(event.key);
      if (room) go({ room });
      else if (event.key === "?") show(true);
      else if (event.key === "/") {
        event.preventDefault();
        if (!focusSearch()) {
          go({});
          requestAnimationFrame(() => requestAnimationFrame(focusSearch));
        }
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return isShown && <Help onClose={() => show(false)} />;
}

function focusSearch(): boolean {
  const search = document.querySelector<HTMLElement>("[data-search]");
  search?.focus();
  return search !== null;
}

function roomOfLetter(letter: string): RoomName | undefined {
  return (Object.keys(ROOMS) as RoomName[]).find((name) => ROOMS[name].letter === letter);
}

function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-label="Keys and words">
      <h2>Keys</h2>
      <dl class="facts">
        <dt>/</dt>
        <dd>search</dd>
        <dt>Esc</dt>
        <dd>close what is open</dd>
        {Object.values(ROOMS)
          .filter((each) => each.letter)
          .map((each) => [
            <dt key={each.title}>g {each.letter}</dt>,
            <dd key={`${each.title}=`}>{each.title}</dd>,
          ])}
      </dl>
      <h2>Words</h2>
      <dl class="facts">
        {Object.entries(MEANINGS).map(([word, meaning]) => [
          <dt key={word}>{word}</dt>,
          <dd key={`${word}=`}>{meaning}</dd>,
        ])}
      </dl>
      <div class="row">
        <button class="main" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
