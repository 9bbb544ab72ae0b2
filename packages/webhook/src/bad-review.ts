/** What was sent is not the review this endpoint answers; the sender gets 400 and this text. */
export class BadReview extends Error {
  override readonly name = 'BadReview'
}
