Feature: retrieveNotificationChannelSubscription of 0.3
  A client reads what it made, under the version under which it made it.

  Scenario Outline: A client reads a subscription
    Given a subscription to <type>
    When the subscription is read
    Then the answer is 200
    And the answer is a valid Subscription
    And the answer has the x-correlator of the request
    And the answer repeats the request

    Examples:
      | type                                                  |
      | session-invitation                                    |
      | session-status                                        |
      | registration-ends                                     |
      | session-invitation, session-status, registration-ends |

  Scenario: A subscription that nobody made is not found
    Given the id of a subscription that never was
    When the subscription is read
    Then the error is 404 NOT_FOUND
    And the answer has the x-correlator of the request

  Scenario: An empty id is refused
    When GET is sent to "/subscriptions/"
    Then the error is 400 INVALID_ARGUMENT
    And the message names "subscriptionId"

  Scenario: Another client's subscription looks like none
    Given a subscription to session-invitation
    And the token is another client's
    When the subscription is read
    Then the error is 404 NOT_FOUND

  Scenario Outline: A subscription of the other version looks like none
    Given a subscription to session-invitation
    And the client has a subscription under 0.2 as well
    When the client asks to <do> the one under the other version
    Then both errors are 404 NOT_FOUND

    Examples:
      | do     |
      | read   |
      | delete |

  Scenario: A token that stands for a user is shown no device
    Given the token stands for the user "alice"
    And a subscription to session-invitation
    When the subscription is read
    Then the answer is 200
    And the answer has no "config.subscriptionDetail.deviceId"
