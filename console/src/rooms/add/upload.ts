// A file to the server, in parts: after a broken connection it goes on where it was.

import { addressOf, read, Refused, send, type Schemas } from "../../api/client";

type Uploaded = Schemas["UploadedFile"];
const PART_BYTES = 4 << 20;
const TRIES = 5;
const AGAIN = [0, 408, 423, 429, 503];
const WAIT_MS = 1_000;

/** `path` in its parts, each encoded: slashes stay. */
export function addressOfFile(path: string, query: Record<string, string> = {}): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return addressOf(`/files/csv/${encoded}`, query);
}

/** Calls `moved` with the share that has arrived. Throws `Refused`. */
export async function upload(
  file: File,
  path: string,
  replace: boolean,
  moved: (share: number) => void,
): Promise<Uploaded> {
  const address = addressOfFile(path, replace ? { replace: "true" } : {});
  let first = 0;
  for (let tries = 0; ;) {
    try {
      const found = await put(address, file, first);
      if (found.size !== null) return found;
      first = found.received;
      tries = 0;
      moved(first / file.size);
    } catch (error) {
      const isBroken = error instanceof Refused && AGAIN.includes(error.status);
      if (!isBroken || ++tries > TRIES) throw error;
      await new Promise((done) => setTimeout(done, WAIT_MS * tries));
      const found = await read<Uploaded>(addressOfFile(path)).catch(() => null);
      // The last part may have arrived, and its answer not.
      if (found && !found.received && found.size === file.size) return found;
      first = found?.received ?? first;
    }
  }
}

async function put(address: string, file: File, first: number): Promise<Uploaded> {
  const past = Math.min(first + PART_BYTES, file.size);
  const headers: Record<string, string> = {};
  if (first > 0 || past < file.size) {
    headers["Content-Range"] = `bytes ${first}-${past - 1}/${file.size}`;
  }
  const response = await send(address, {
    method: "PUT",
    body: file.slice(first, past),
    headers,
  });
  return (await response.json()) as Uploaded;
}

/** A name that every reader takes, below a folder that makes a dataset. */
export function suggested(name: string): string {
  const plain = name
    .normalize("NFC")
    .replace(/[*?\\<>|":/]|[^\P{C}]/gu, "-")
    .replace(/^[.\s]+/, "")
    .trim();
  return `uploads/${plain || "file.csv"}`;
}
