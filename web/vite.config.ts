import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The screen is served by the binary under /app/; in development the API is that of a server on this machine.
export default defineConfig({
  base: "/app/",
  plugins: [react()],
  build: { target: "es2022", sourcemap: false, chunkSizeWarningLimit: 400, assetsInlineLimit: 0 },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/lake": "http://127.0.0.1:8080" } },
});
