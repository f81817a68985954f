import { brotliCompressSync, constants } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** A `.br` beside each text file: compressed once here, as small as can be, rather than at each start of the server. */
const brotli = (): Plugin => ({
  name: "brotli",
  apply: "build",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      for (const [name, part] of Object.entries(bundle)) {
        if (!/\.(js|css|svg)$/.test(name)) continue;
        const plain = Buffer.from(part.type === "chunk" ? part.code : part.source);
        const source = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } });
        if (source.length < plain.length) this.emitFile({ type: "asset", fileName: `${name}.br`, source });
      }
    },
  },
});

// The screen is served by the binary under /app/; in development the API is that of a server on this machine.
export default defineConfig({
  base: "/app/",
  plugins: [react(), brotli()],
  build: { target: "es2022", sourcemap: false, chunkSizeWarningLimit: 400, assetsInlineLimit: 0 },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/lake": "http://127.0.0.1:8080", "/privacy": "http://127.0.0.1:8080" } },
});
