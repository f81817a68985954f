// Records to begin with: what SDKs and agents really send, with made-up people in it.
import type { Signal } from "../lib/policy";

export interface Sample { id: string; name: string; signal: Signal; browser: boolean; record: string }

const written = (record: unknown) => JSON.stringify(record, null, 2);

export const samples: Sample[] = [
  {
    id: "error", name: "An error of a server", signal: "errors", browser: false,
    record: written({
      event_id: "9f1c0b6de23a4f57a1d8c4be70615293", platform: "python", level: "error", environment: "production", release: "shop@1.2.0",
      user: { id: "1042", email: "jane@example.org", username: "jane", ip_address: "203.0.113.77" },
      exception: { values: [{ type: "PaymentError", value: "card 4111 1111 1111 1111 of jane@example.org was declined" }] },
      request: { method: "POST", url: "https://shop.example/pay?token=s3cr3t-4f1a", headers: { Authorization: "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMDQyIn0.c2lnbmF0dXJl", "User-Agent": "python-requests/2.32" } },
      extra: { order: 8812, iban: "DE89370400440532013000", note: "call +1 415 555 2671" },
    }),
  },
  {
    id: "browser", name: "An error of a browser", signal: "errors", browser: true,
    record: written({
      event_id: "3b7e5a90c1f84d62b0a6e9d4f7215c8e", platform: "javascript", level: "error", environment: "production",
      user: { id: "1042", email: "jane@example.org", ip_address: "203.0.113.77", geo: { country_code: "DE", city: "Leipzig" } },
      exception: { values: [{ type: "TypeError", value: "cart is undefined" }] },
      request: { url: "https://shop.example/cart?email=jane@example.org", headers: { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.86 Safari/537.36", Cookie: "session=8d1f02" } },
      contexts: { device: { name: "Jane's laptop", model: "X1" } },
    }),
  },
  {
    id: "log", name: "A log record", signal: "logs", browser: false,
    record: written({
      body: "checkout of jane@example.org failed: card 4111 1111 1111 1111",
      attributes: { "http.route": "/pay", "client.address": "203.0.113.77", "user.id": "1042", "user.email": "jane@example.org", "db.password": "hunter2-prod", took_ms: 412 },
    }),
  },
  {
    id: "json", name: "A log with JSON in it", signal: "logs", browser: false,
    record: written({ message: "{\"user\":{\"email\":\"jane@example.org\"},\"card\":\"4111111111111111\",\"next\":\"https://bob:pa55word@db.example/orders\"}", level: "warn", service: "cart" }),
  },
];
