Feature: deleteNotificationChannelSubscription of 0.3
  The client ends it when it likes; the sink is notified, and nothing else follows.

  Scenario Outline: A deleted subscription is gone at once
    Given the device has a registration
    And a subscription to <type>
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
    Then the list is empty
    When the gateway publishes a session-invitation
    Then no subscription gets it

    Examples:
      | type                                                  |
      | session-invitation                                    |
      | session-invitation, session-status, registration-ends |

  Scenario: A subscription that nobody made is not found
    Given the id of a subscription that never was
    When the subscription is deleted
    Then the error is 404 NOT_FOUND
    And the answer has the x-correlator of the request

  Scenario: An empty id is refused
    When DELETE is sent to "/subscriptions/"
    Then the error is 400 INVALID_ARGUMENT
    And the message names "subscriptionId"

  Scenario: Another client's subscription looks like none
    Given a subscription to session-invitation
    And the token is another client's
    When the subscription is deleted
    Then the error is 404 NOT_FOUND
