// In place of wasi:config/store.

export const values = {};

export function get(key) {
  return values[key];
}
