/** `$((...))` with whole numbers, names, `+ - * / %`, comparison and parentheses. Anything else is 0. */
export function evaluateArithmetic(text: string, lookup: (name: string) => string | undefined): number {
  const tokens = text.match(/\d+|[A-Za-z_]\w*|<=|>=|==|!=|[-+*/%()<>]/g) ?? []
  let position = 0
  const primary = (): number => {
    const token = tokens[position++]
    if (token === undefined) return 0
    if (token === '(') {
      const value = comparison()
      position++
      return value
    }
    if (token === '-') return -primary()
    if (/^\d/.test(token)) return Number(token)
    return Number(lookup(token) ?? 0) || 0
  }
  const product = (): number => {
    let value = primary()
    for (
      let operator = tokens[position];
      operator !== undefined && '*/%'.includes(operator);
      operator = tokens[position]
    ) {
      position++
      const right = primary()
      value =
        operator === '*'
          ? value * right
          : right === 0
            ? 0
            : operator === '/'
              ? Math.trunc(value / right)
              : value % right
    }
    return value
  }
  const sum = (): number => {
    let value = product()
    for (let operator = tokens[position]; operator === '+' || operator === '-'; operator = tokens[position]) {
      position++
      value = operator === '+' ? value + product() : value - product()
    }
    return value
  }
  const comparison = (): number => {
    const left = sum()
    const operator = tokens[position]
    if (operator === undefined || !['<', '>', '<=', '>=', '==', '!='].includes(operator)) return left
    position++
    const right = sum()
    const answers: Record<string, boolean> = {
      '<': left < right,
      '>': left > right,
      '<=': left <= right,
      '>=': left >= right,
      '==': left === right,
      '!=': left !== right,
    }
    return answers[operator] ? 1 : 0
  }
  return comparison()
}
