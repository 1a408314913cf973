import { defineConfig } from "vite";

// `vite build` writes what the gateway serves; `vite` alone serves it for work on the page, with
// the API of a stack that `make up` has started.
export default defineConfig({
  base: "/",
  build: {
    outDir: "dist",
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://localhost:8000" } },
});
