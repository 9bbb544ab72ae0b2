import { describe, expect, it } from 'vitest'
import { formatMetrics } from './metric-text.ts'

describe('metrics as text', () => {
  it('have their help and type first, labels escaped, and histograms a bucket for everything', () => {
    expect(
      formatMetrics([
        {
          type: 'counter',
          name: 'calls_total',
          help: 'Calls,\nby host.',
          series: [{ labels: { host: 'a"b\\c\nd' }, value: 3 }],
        },
        { type: 'gauge', name: 'empty', help: 'Nobody has it.', series: [] },
        {
          type: 'histogram',
          name: 'time_seconds',
          help: 'Time.',
          series: [{ value: { bounds: [0.5, 1], cumulative: [1, 2], count: 4, sum: 7.5 } }],
        },
      ]),
    ).toBe(`# HELP calls_total Calls,\\nby host.
# TYPE calls_total counter
calls_total{host="a\\"b\\\\c\\nd"} 3
# HELP time_seconds Time.
# TYPE time_seconds histogram
time_seconds_bucket{le="0.5"} 1
time_seconds_bucket{le="1"} 2
time_seconds_bucket{le="+Inf"} 4
time_seconds_sum 7.5
time_seconds_count 4
`)
  })
})
