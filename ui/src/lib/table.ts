// What a table column is.

export interface Column {
  id: string
  title: string
  /** Pixels; absent = takes what is left */
  width?: number
  /** Smallest width of the column that takes what is left */
  widthMin?: number
  number?: boolean
  /** The sort key, if the table can be sorted by it */
  sort?: string
  hint?: string
}
