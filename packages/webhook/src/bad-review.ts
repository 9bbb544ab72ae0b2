/** What was sent is not the review this endpoint answers; the sender gets the status and this text, in one line. */
export class BadReview extends Error {
  override readonly name = 'BadReview'
  readonly status: BadReviewStatus

  /** Status 400 unless another says it better. */
  constructor(message: string, status: BadReviewStatus = 400) {
    super(message)
    this.status = status
  }
}

/** Not understood; too slow in coming; too large; of another media type. */
export type BadReviewStatus = 400 | 408 | 413 | 415
