Feature: Deleting a subscription
  The client ends it when it likes; the sink is notified, and nothing else follows.

  Scenario Outline: A deleted subscription is gone at once
    Given a subscription to <type>
    When the subscription is deleted
    Then the answer is 204
    And the answer has no body
    And the answer has the x-correlator of the request
    And the sink is notified that the subscription ended with SUBSCRIPTION_DELETED
    When the subscription is read
    Then the error is 404 NOT_FOUND
    When the subscription is deleted
    Then the error is 404 NOT_FOUND
    When the subscriptions are listed
    Then the answer is 200
    And the list is empty

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: Events after the deletion are not notified
    Given a subscription to session-invitation
    When the subscription is deleted
    Then the answer is 204
    When the gateway publishes a session-invitation
    Then no subscription gets it
    And the sink is notified that the subscription ended with SUBSCRIPTION_DELETED

  Scenario: A subscription with an expiry and a maximum can be deleted before either
    Given a request for session-invitation
    And the request has "config.subscriptionExpireTime" 600 s from now
    And the request has "config.subscriptionMaxEvents" set to 5
    And the request is sent
    When the subscription is deleted
    Then the answer is 204
    And the sink is notified that the subscription ended with SUBSCRIPTION_DELETED

  Scenario: A subscription that nobody made is not found
    Given the id of a subscription that never was
    When the subscription is deleted
    Then the error is 404 NOT_FOUND
    And the answer has the x-correlator of the request

  Scenario: An empty id is refused
    When DELETE is sent to "/subscriptions/"
    Then the error is 400 INVALID_ARGUMENT
    And the message names "subscriptionId"

  Scenario: All subscriptions cannot be deleted together
    When DELETE is sent to "/subscriptions"
    Then the error is 405 METHOD_NOT_ALLOWED
    And the answer allows GET, POST
