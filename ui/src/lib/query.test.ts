import { describe, expect, it } from 'vitest'
import { add, completionAt, has, outcomeIn, outcomeQuery, parse, print, query, quote, remove, toggle, toggleOutcome } from './query'

describe('a query', () => {
  it('is terms of field and values, or free text', () => {
    expect(parse('method:GET,POST -host:a.example timeout')).toEqual([
      { negated: false, field: 'method', values: ['GET', 'POST'] },
      { negated: true, field: 'host', values: ['a.example'] },
      { negated: false, field: '', values: ['timeout'] },
    ])
  })
  it('keeps text with a colon that is no field as free text', () => {
    expect(parse('urn:isbn')).toEqual([{ negated: false, field: '', values: ['urn:isbn'] }])
  })
  it('survives printing', () => {
    for (const q of ['', 'method:GET', '-status:4xx path:/v2/*', 'user_agent:"a b",c free "two words"', 'path:"/a,b"', 'path:"/a*"/*', 'unknown:x', 'status:']) expect(print(parse(q))).toBe(q)
  })
  it('quotes values that would fall apart or mean something else', () => {
    expect(quote('Mozilla/5.0 (X11)')).toBe('"Mozilla/5.0 (X11)"')
    expect(quote('/a*')).toBe('"/a*"')
    expect(quote('-1')).toBe('"-1"')
    expect(quote('')).toBe('""')
    expect(quote('say "hi"')).toBe('"say "*"hi"*""')
    expect(quote('/v2/{id}')).toBe('/v2/{id}')
    expect(has(query({ user_agent: 'a, b' }), 'user_agent', 'a, b')).toBe(true)
  })
  it('keeps a pattern a pattern when something is added', () => {
    expect(add('path:/v2/*', 'method', 'GET')).toBe('path:/v2/* method:GET')
  })
})

describe('narrowing by clicks', () => {
  it('adds a second value of a field as one more possibility', () => {
    expect(add('method:GET', 'method', 'POST')).toBe('method:GET,POST')
    expect(add('method:GET', 'method', 'GET')).toBe('method:GET')
  })
  it('takes a value back, and the term with the last one', () => {
    expect(remove('method:GET,POST', 'method', 'GET')).toBe('method:POST')
    expect(remove('method:GET status:404', 'method', 'GET')).toBe('status:404')
    expect(toggle(toggle('', 'api', 'bank'), 'api', 'bank')).toBe('')
  })
  it('never asks for a value and against it at once', () => {
    expect(add('status:404 path:/a', 'status', '404', true)).toBe('path:/a -status:404')
  })
  it('knows what is chosen', () => {
    expect(has('-method:GET', 'method', 'GET')).toBe(false)
    expect(has('-method:GET', 'method', 'GET', true)).toBe(true)
  })
  it('leaves out what is not there when made of pairs', () => {
    expect(query({ policy: 'p', check: null, applied: false })).toBe('policy:p applied:false')
  })
})

describe('completion', () => {
  it('is of a field until the colon', () => {
    expect(completionAt('method:GET sta', 14)).toEqual({ start: 11, end: 14, field: '', typed: 'sta' })
    expect(completionAt('-sta', 4)).toEqual({ start: 1, end: 4, field: '', typed: 'sta' })
  })
  it('is of the value after it, one by one', () => {
    expect(completionAt('status:4', 8)).toEqual({ start: 7, end: 8, field: 'status', typed: '4' })
    expect(completionAt('method:GET,PO', 13)).toEqual({ start: 11, end: 13, field: 'method', typed: 'PO' })
    expect(completionAt('method:GE,POST', 9)).toEqual({ start: 7, end: 9, field: 'method', typed: 'GE' })
  })
})

describe('an outcome', () => {
  it('can be asked for, changed and dropped', () => {
    const denied = toggleOutcome('host:a.example', 'denied')
    expect(denied).toBe('decision:deny applied:true host:a.example')
    expect(outcomeIn(denied)).toBe('denied')
    expect(toggleOutcome(denied, 'observed')).toBe('decision:deny applied:false host:a.example')
    expect(toggleOutcome(denied, 'denied')).toBe('host:a.example')
    expect(outcomeIn('decision:deny')).toBe('')
  })
  it('is combined with more', () => {
    expect(outcomeQuery('denied', { policy: 'p', api: null })).toBe('decision:deny applied:true policy:p')
  })
})
