// Loads an npm package of the scenarios by name: they are in the folder that BARTIZAN_NPM names, not beside these scripts.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

export function load(name) {
  return import(pathToFileURL(createRequire(`${process.env.BARTIZAN_NPM}/`).resolve(name)).href)
}
