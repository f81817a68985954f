//! The one place where a request is let in: key, quota, rate, size, encoding, trusted proxies, pressure.
