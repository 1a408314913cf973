// A request as people can run it elsewhere. The key is named, not shown, but for the one of
// development, which everybody knows.

const DEVELOPMENT = "test-api-key";

export interface Call {
  method: string;
  address: string;
  body?: unknown;
}

export function asCurl(call: Call, origin: string, key: string | null = null): string {
  const method = call.method === "GET" ? "" : ` -X ${call.method}`;
  const line = `curl -s${method} "${origin}${call.address}" -H "x-api-key: ${isKnown(key) ? DEVELOPMENT : "$API_KEY"}"`;
  if (call.body === undefined) return line;
  const body = JSON.stringify(call.body).replaceAll("'", "'\\''");
  return `${line} -H "content-type: application/json" -d '${body}'`;
}

export function asPython(call: Call, origin: string, key: string | null = null): string {
  const body = call.body === undefined ? "" : `    json=${asLiteral(call.body)},\n`;
  return `${isKnown(key) ? "" : "import os\n"}import httpx

answer = httpx.request(
    "${call.method}",
    "${origin}${call.address}",
${body}    headers={"x-api-key": ${isKnown(key) ? `"${DEVELOPMENT}"` : 'os.environ["API_KEY"]'}},
)
print(answer.raise_for_status().json())
`;
}

function isKnown(key: string | null): boolean {
  return key === DEVELOPMENT;
}

/** A value of JSON as Python writes it. */
function asLiteral(value: unknown): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(asLiteral).join(", ")}]`;
  if (typeof value === "object") {
    const pairs = Object.entries(value as object).map(
      ([name, each]) => `${JSON.stringify(name)}: ${asLiteral(each)}`,
    );
    return `{${pairs.join(", ")}}`;
  }
  return JSON.stringify(value);
}
