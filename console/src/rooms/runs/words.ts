// What a run says, for people who look at the console and not at the API.

/** Without the address of an endpoint. */
export function inConsole(text: string): string {
  return text.replace(/: see GET \S+/g, "").replaceAll("(s)", "s");
}
