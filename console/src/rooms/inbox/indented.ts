/** JSON with a value a line. Numbers stay as they came: no parser rounds them. */
export function indented(text: string): string {
  let depth = 0;
  let isText = false;
  let found = "";
  for (let n = 0; n < text.length; n++) {
    const sign = text[n]!;
    if (isText) {
      found += sign;
      if (sign === "\\") found += text[++n] ?? "";
      else if (sign === '"') isText = false;
      continue;
    }
    if (sign === '"') isText = true;
    if (/\s/.test(sign)) continue;
    if ("{[".includes(sign)) found += sign + line(++depth);
    else if ("}]".includes(sign)) found += line(--depth) + sign;
    else if (sign === ",") found += sign + line(depth);
    else if (sign === ":") found += ": ";
    else found += sign;
  }
  return found;
}

function line(depth: number): string {
  return `\n${"  ".repeat(Math.max(0, depth))}`;
}
