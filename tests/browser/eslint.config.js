// What the browser's modules and their tests are held to.
import js from "@eslint/js";
import stylistic from "@stylistic/eslint-plugin";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    files: ["**/*.js"],
    linterOptions: { reportUnusedDisableDirectives: "error" },
    languageOptions: { ecmaVersion: 2023, sourceType: "module" },
    plugins: { stylistic },
    rules: {
      "consistent-return": "error",
      "default-case-last": "error",
      eqeqeq: "error",
      "no-implicit-globals": "error",
      "no-param-reassign": "error",
      "no-restricted-globals": ["error", "event", "name", "status"],
      "no-shadow": ["error", { builtinGlobals: false }],
      "no-use-before-define": ["error", { functions: false, variables: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": ["error", { destructuring: "all" }],
      "prefer-template": "error",
      "stylistic/comma-dangle": ["error", "always-multiline"],
      "stylistic/indent": ["error", 2, { SwitchCase: 1 }],
      "stylistic/max-len": ["error", { code: 100 }],
      "stylistic/no-trailing-spaces": "error",
      "stylistic/quotes": ["error", "double", { avoidEscape: true }],
      "stylistic/semi": "error",
    },
  },
  { files: ["bwcache/**/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["tests/browser/**/*.js"], languageOptions: { globals: globals.node } },
  { // they stand in for what they make themselves
    files: ["tests/browser/**/*.test.js"],
    languageOptions: { globals: { document: "readonly", window: "readonly" } },
  },
];
