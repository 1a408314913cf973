// A request as people can run it elsewhere. The key is named, not shown.

export interface Call {
  method: string;
  address: string;
  body?: unknown;
}

export function asCurl(call: Call, origin: string): string {
  const method = call.method === "GET" ? "" : ` -X ${call.method}`;
  const line = `curl -s${method} "${origin}${call.address}" -H "x-api-key: $API_KEY"`;
  if (call.body === undefined) return line;
  const body = JSON.stringify(call.body).replaceAll("'", "'\\''");
  return `${line} -H "content-type: application/json" -d '${body}'`;
}

export function asPython(call: Call, origin: string): string {
  const body = call.body === undefined ? "" : `    json=${asLiteral(call.body)},\n`;
  return `import os
import httpx

answer = httpx.request(
    "${call.method}",
    "${origin}${call.address}",
${body}    headers={"x-api-key": os.environ["API_KEY"]},
)
print(answer.raise_for_status().json())
`;
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
