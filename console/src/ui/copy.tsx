import { useRef, useState } from "preact/hooks";
import { key } from "../api/key";
import { asCurl, asPython, type Call } from "../api/copied";

/** "Copy as": the request behind what is shown. */
export function CopyMenu({ call }: { call: Call }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const [done, setDone] = useState(false);
  const copy = async (text: string) => {
    await navigator.clipboard.writeText(text);
    menu.current?.removeAttribute("open");
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <details class="menu" ref={menu}>
      <summary aria-label="Copy the request">{done ? "copied" : "copy"}</summary>
      <div>
        <button onClick={() => copy(asCurl(call, location.origin, key()))}>as curl</button>
        <button onClick={() => copy(asPython(call, location.origin, key()))}>as Python</button>
        <button onClick={() => copy(location.origin + call.address)}>address</button>
      </div>
    </details>
  );
}
